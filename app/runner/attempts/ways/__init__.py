"""The ways in which a post gets to TikTok; each knows what its unknown init means."""
