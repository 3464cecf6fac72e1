"""Limits of the HTTP server: time, size and number of connections and requests."""
