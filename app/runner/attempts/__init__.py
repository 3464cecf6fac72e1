"""One attempt of a job, and the pool of all that run at a time."""
