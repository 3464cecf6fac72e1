"""For which caller the present task works: what is scarce is shared out by it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from typing import Final

_caller: Final[ContextVar[str | None]] = ContextVar("caller", default=None)


def present_caller() -> str | None:
    """Return for whom the present task works; None: for the service itself."""
    return _caller.get()


@contextmanager
def acting_for(caller: str | None) -> Iterator[None]:
    """Count what is done in this block towards a caller's share."""
    token = _caller.set(caller)
    try:
        yield
    finally:
        _caller.reset(token)


def shared_context() -> Context:
    """Return a context for a task that many callers wait for: it is nobody's alone."""
    context = copy_context()
    context.run(_caller.set, None)
    return context
