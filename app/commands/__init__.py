"""Commands for operators: what the API does, directly on the database."""
