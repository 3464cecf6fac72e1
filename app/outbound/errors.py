"""Why an outgoing request failed."""


class OutboundError(Exception):
    """The request failed."""


class Refused(OutboundError):
    """The address is private or otherwise not allowed."""


class Unreachable(OutboundError):
    """Nobody answered, or the connection broke."""


class TooSlow(OutboundError):
    """The time-out was reached."""
