"""The HTTP server's own limits: time, size and number of what callers send."""
