"""The use cases of people: what callers of the API and the command line can do."""
