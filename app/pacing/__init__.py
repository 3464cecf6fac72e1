"""Keeping TikTok's limits per account, over all workers together."""
