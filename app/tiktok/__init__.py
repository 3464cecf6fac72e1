"""TikTok's API: one method per endpoint, answers as values, never an exception."""
