"""Why an outgoing request came to nothing.

OutboundError
├── Refused      the address is none that we call
├── Unreachable  nobody answered, or not in HTTP
└── TooSlow      the time was up
"""


class OutboundError(Exception):
    """The request came to nothing."""


class Refused(OutboundError):
    """The address is private, or not one that may be called."""


class Unreachable(OutboundError):
    """Nobody answered, or the connection broke."""


class TooSlow(OutboundError):
    """The time was up."""
