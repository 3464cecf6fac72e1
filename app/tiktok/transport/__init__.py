"""HTTP to TikTok: connections, answers, and whether a request was sent."""
