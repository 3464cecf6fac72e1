"""Outgoing HTTP to addresses chosen by others, for assets and webhooks, SSRF-safe."""
