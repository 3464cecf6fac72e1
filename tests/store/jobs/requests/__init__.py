"""What requests do to jobs, on both databases."""
