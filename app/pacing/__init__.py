"""TikTok's limits per account, kept over all workers together."""
