"""Outgoing HTTP to addresses chosen by others, for assets and webhooks, SSRF-safe."""

from app.outbound.client import Outbound
from app.outbound.dialer import on_behalf_of
from app.outbound.errors import OutboundError, Refused, TooSlow, Unreachable
from app.outbound.source import Source, SourceFailed, SourceInfo, SourceTrouble

__all__ = [
    "Outbound",
    "OutboundError",
    "Refused",
    "Source",
    "SourceFailed",
    "SourceInfo",
    "SourceTrouble",
    "TooSlow",
    "Unreachable",
    "on_behalf_of",
]
