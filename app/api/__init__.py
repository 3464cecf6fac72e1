"""The HTTP edge: what callers send and get, and nothing of how it is done."""
