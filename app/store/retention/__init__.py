"""What is deleted by age, and what is kept of a deleted job."""
