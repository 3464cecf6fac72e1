"""Halt a worker at a named step of its work until it is told to continue."""

import socket
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from enum import StrEnum

from app.domain.errors import StoreUnavailable


class Moment(StrEnum):
    """When in a step."""

    BEFORE = "before"
    UNCOMMITTED = "uncommitted"
    """Every statement has run, and nothing is committed yet.

    Or nobody knows that it is: a write of one statement commits with it.
    """
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class Stop:
    """A step to halt at: the ``nth`` time that a worker reaches it."""

    step: str
    moment: Moment = Moment.BEFORE
    nth: int = 1

    def __str__(self) -> str:
        return f"{self.moment} {self.step}"


@dataclass(slots=True)
class Gate:
    """Halts the whole process, not only a task, so that it can be killed at that step.

    ``shift`` is how far its clock was put forward, in seconds; ``writer`` is held by
    whoever writes to SQLite.
    """

    line: socket.socket
    stops: tuple[Stop, ...]
    shift: float = 0.0
    writer: AbstractAsyncContextManager[object] = field(default_factory=nullcontext)
    _passed: dict[tuple[str, Moment], int] = field(default_factory=dict)

    async def come_by(self, step: str, moment: Moment) -> None:
        """Halt here if asked to; raises StoreUnavailable if told to.

        Never in the middle of another task's write: SQLite's file would stay locked for
        all workers, and nobody could take over what this one had claimed.
        """
        if self._is_stop(step, moment):
            async with self.writer:
                self._obey(self._ask(f"at {step}"))

    def come_by_in_write(self, step: str) -> None:
        """Do the same in a write that is about to end."""
        if self._is_stop(step, Moment.UNCOMMITTED):
            self._obey(self._ask(f"at {step}"))

    def _is_stop(self, step: str, moment: Moment) -> bool:
        passed = self._passed[step, moment] = self._passed.get((step, moment), 0) + 1
        return Stop(step, moment, passed) in self.stops

    def _ask(self, words: str) -> list[str]:
        self.line.sendall(f"{words}\n".encode())
        answer = b""
        while not answer.endswith(b"\n"):
            answer += self.line.recv(1) or b"go\n"
        return answer.decode().split()

    def _obey(self, order: list[str]) -> None:
        match order:
            case ["clock", seconds]:
                self.shift += float(seconds)
            case ["lose"]:  # it was done, and the answer was lost
                raise StoreUnavailable
            case _:
                pass
