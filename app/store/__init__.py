"""The database: each public method is one transaction."""
