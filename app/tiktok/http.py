"""The wire: the one module that knows httpx."""


class Http:
    """Make clients that share one SSL context."""
