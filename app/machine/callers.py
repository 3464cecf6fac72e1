"""The caller that the current task works for, to share out scarce resources."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from typing import Final

_caller: Final[ContextVar[str | None]] = ContextVar("caller", default=None)


def present_caller() -> str | None:
    """Return the current task's caller, None for the service itself."""
    return _caller.get()


@contextmanager
def acting_for(caller: str | None) -> Iterator[None]:
    """Count this block towards a caller's share."""
    token = _caller.set(caller)
    try:
        yield
    finally:
        _caller.reset(token)


def shared_context() -> Context:
    """Return a context without a caller, for a task that many callers wait for."""
    context = copy_context()
    context.run(_caller.set, None)
    return context
