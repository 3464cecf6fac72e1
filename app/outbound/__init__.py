"""Outgoing HTTP to addresses that others chose: assets and webhooks, SSRF-safe."""

from app.outbound.client import Outbound
from app.outbound.errors import OutboundError, Refused, TooSlow, Unreachable

__all__ = [
    "Outbound",
    "OutboundError",
    "Refused",
    "TooSlow",
    "Unreachable",
]
