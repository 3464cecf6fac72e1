"""Use cases around jobs."""
