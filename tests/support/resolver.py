"""A system resolver that says what a test wants, when the test wants it."""

import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.patience import PATIENCE_SECONDS


@dataclass
class Resolver:
    """Answers for every name; counts, waits, and fails if it is told to."""

    addresses: Sequence[str] = ("127.0.0.1",)
    failure: Exception | None = None
    asked: list[str] = field(default_factory=list)
    hanging: set[str] = field(default_factory=set)
    """Names that are not answered until ``go_on``."""

    def __post_init__(self) -> None:
        self._go_on = threading.Event()
        self._original = socket.getaddrinfo

    def go_on(self) -> None:
        """Answer what hangs."""
        self._go_on.set()

    def look_up(self, host: Any, port: Any, *more: Any, **others: Any) -> Any:  # noqa: ANN401
        """Answer as the system does; addresses are answered by the system itself."""
        if not isinstance(host, str) or not host[-1:].isalpha() or host == "localhost":
            return self._original(host, port, *more, **others)
        self.asked.append(host)
        if host in self.hanging and not self._go_on.wait(PATIENCE_SECONDS):
            raise AssertionError("somebody waited for a resolver that hangs")
        if self.failure is not None:
            raise self.failure
        kind = socket.SOCK_STREAM
        return [
            (socket.AF_INET, kind, 6, "", (each, port or 0))
            for each in self.addresses
            for _ in range(2)
        ]


def resolving(
    monkeypatch: pytest.MonkeyPatch,
    *addresses: str,
    **how: Any,  # noqa: ANN401
) -> Resolver:
    """Let every name have these addresses."""
    resolver = Resolver(addresses or ("127.0.0.1",), **how)
    monkeypatch.setattr(socket, "getaddrinfo", resolver.look_up)
    return resolver
