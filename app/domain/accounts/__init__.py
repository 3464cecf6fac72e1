"""Whom it goes out for: accounts and their quotas. Pure."""
