"""What is posted: the post, its media, and how media gets to TikTok. Pure."""
