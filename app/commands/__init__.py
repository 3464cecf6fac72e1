"""Commands for people at a terminal: what the API does, on the database itself."""
