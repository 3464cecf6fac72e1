"""How many file descriptors this process may have."""

from contextlib import suppress
from typing import Final

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]

WITHOUT_LIMIT: Final = 8192
"""The limit assumed where the system names none."""

HIGHEST: Final = 1_048_576
"""The most we ask for: some systems have a hard limit of a billion."""

MACOS_HIGHEST: Final = 10_240
"""What macOS grants while it calls its hard limit infinite."""


def soft_limit() -> int:
    """Return how many descriptors this process may have."""
    if resource is None:
        return WITHOUT_LIMIT
    return _bounded(resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def hard_limit() -> int:
    """Return how many it may have once the soft limit is raised."""
    if resource is None:
        return WITHOUT_LIMIT
    return _bounded(resource.getrlimit(resource.RLIMIT_NOFILE)[1])


def raise_soft_limit() -> int:
    """Raise the soft limit as far as the hard one allows; return the new limit.

    Shells and service managers start programs with a soft limit of 1,024 because of
    select(2), which nothing here uses.
    """
    if resource is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        for number in (hard_limit(), MACOS_HIGHEST):
            if number <= soft_limit():
                break
            with suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))
    return soft_limit()


def _bounded(number: int) -> int:
    # RLIM_INFINITY is -1 for Python.
    return HIGHEST if number < 0 else min(number, HIGHEST)
