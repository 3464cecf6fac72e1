"""Why an outgoing request failed.

OutboundError
├── Refused      the address must not be called
├── Unreachable  no answer, or not HTTP
└── TooSlow      the time-out was reached
"""


class OutboundError(Exception):
    """The request failed."""


class Refused(OutboundError):
    """The address is private or otherwise not allowed."""


class Unreachable(OutboundError):
    """Nobody answered, or the connection broke."""


class TooSlow(OutboundError):
    """The time-out was reached."""
