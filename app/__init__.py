"""Post videos to TikTok at the time their owner chose, once, and say what became."""

__version__ = "0.1.0"
