"""Log lines written by a thread of their own, so that nobody waits for their reader.

A pipe that nobody reads is full after 64 KiB: whoever writes to it waits, and with the
event loop everything.
"""

import logging
import os
from collections.abc import Iterable
from contextlib import suppress
from logging.handlers import QueueHandler, QueueListener
from queue import SimpleQueue
from typing import Any, Final

MOST_LINES: Final = 10_000
"""How many lines may wait for their reader; further ones are dropped, and counted."""

GOODBYE_SECONDS: Final = 1.0
"""How long the end of a program waits for them."""


class _Writer(QueueListener):
    """The thread that writes."""

    def __init__(self, lines: "SimpleQueue[Any]", descriptor: int) -> None:
        super().__init__(lines)
        self._descriptor = descriptor

    def handle(self, record: Any) -> None:  # noqa: ANN401 - a line, not a record
        """Write one line, however long that takes.

        Past Python's own buffer, whose lock a thread that hangs would hold at the end.
        """
        rest = memoryview(record.encode("utf-8", "backslashreplace") + b"\n")
        with suppress(OSError):  # nobody is there to read it, or ever will be
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]

    def leave(self, seconds: float) -> None:
        """Write what waits, for so long at most."""
        if self._thread is not None:
            self.enqueue_sentinel()
            self._thread.join(seconds)
            self._thread = None


class QueuedLines(QueueHandler):
    """Formats each line where it is made, and lets another thread write it."""

    def __init__(self, descriptor: int, *, most: int = MOST_LINES) -> None:
        lines: SimpleQueue[Any] = SimpleQueue()  # safe in signal handlers, too
        super().__init__(lines)
        self._lines = lines
        self._most = most
        self._untold = 0
        self._writer = _Writer(lines, descriptor)
        self._writer.start()
        self.dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Put a line into the queue, or drop it if that is full."""
        try:
            if self._lines.qsize() >= self._most:
                self.dropped += 1
                self._untold += 1
                return
            if self._untold:
                self.queue.put_nowait(self.format(_told(self._untold)))
                self._untold = 0
            self.queue.put_nowait(self.format(record))
        except Exception:  # noqa: BLE001 - as every handler does
            self.handleError(record)

    def close(self) -> None:
        """Write what waits, for a second at most."""
        self._writer.leave(GOODBYE_SECONDS)
        super().close()


def dropped_lines(handlers: Iterable[logging.Handler]) -> int:
    """Return how many lines these have dropped."""
    return sum(each.dropped for each in handlers if isinstance(each, QueuedLines))


def _told(count: int) -> logging.LogRecord:
    return logging.makeLogRecord(
        {
            "name": __name__,
            "levelno": logging.WARNING,
            "levelname": "WARNING",
            "msg": f"{count} log lines were dropped: nobody read them in time",
        }
    )
