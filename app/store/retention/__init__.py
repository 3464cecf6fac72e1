"""Deletion by age, and what is kept of a deleted job."""
