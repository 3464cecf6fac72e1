"""Inspect videos and photos at their URLs, reading few bytes."""
