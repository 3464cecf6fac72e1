"""Attempts: one attempt of a job, and the pool of all running ones."""
