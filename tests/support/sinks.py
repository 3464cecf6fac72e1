"""A sink for tests."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from app.machine.sink import Sink


@dataclass
class Bucket:
    """A sink that keeps everything, and is full or over when a test says so."""

    is_full: bool = False
    is_over: bool = False
    on_change: Callable[[], None] | None = None
    pieces: list[bytes] = field(default_factory=list)

    def write(self, piece: bytes) -> None:
        """Keep a piece."""
        self.pieces.append(piece)

    def change(self, **states: bool) -> None:
        """Be full, free or over, and say so."""
        for name, value in states.items():
            setattr(self, name, value)
        assert self.on_change is not None, "nobody pours"
        self.on_change()

    @property
    def content(self) -> bytes:
        """Return everything."""
        return b"".join(self.pieces)


async def written(sink: Sink, piece: bytes) -> bool:
    """Write a piece once the sink has room; False if it is over."""
    changed = asyncio.Event()
    sink.on_change = changed.set
    while sink.is_full and not sink.is_over:
        changed.clear()
        await changed.wait()
    sink.on_change = None
    if not sink.is_over:
        sink.write(piece)
    return not sink.is_over
