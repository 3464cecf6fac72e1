"""Resolve strangers' host names, with a limited share for each project."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from app.machine.look_ups import ANYBODY, LookUps

AT_ONCE: Final = 32
EACH: Final = 4
"""How many names of one project are looked up at a time."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

_project: ContextVar[str] = ContextVar("project", default=ANYBODY)


@contextmanager
def on_behalf_of(project_id: str) -> Iterator[None]:
    """Count look-ups in this block towards a project's share."""
    token = _project.set(project_id)
    try:
        yield
    finally:
        _project.reset(token)


class Resolver:
    """Looks up callers' host names; one per process, so that the shares hold."""

    def __init__(self, *, at_once: int = AT_ONCE, each: int = EACH) -> None:
        self._look_ups = LookUps(at_once=at_once, each=each)

    async def __call__(self, host: str, _port: int) -> Sequence[str]:
        """Ask the system's resolver; raises OSError, UnicodeError."""
        return await self._look_ups.addresses(host, share=_project.get())
