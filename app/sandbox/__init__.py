"""Simulate TikTok on the wire: answers, quotas, webhooks, and every way to fail."""
