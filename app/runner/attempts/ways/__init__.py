"""The ways to get media to TikTok; each knows what its unanswered init means."""
