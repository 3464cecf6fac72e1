"""Write log lines in a thread, so that nothing waits for their reader.

A pipe that nobody reads is full after 64 KiB: the next write blocks, and with it the
event loop.
"""

import logging
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from logging.handlers import QueueHandler, QueueListener
from queue import SimpleQueue
from typing import Any, Final

MOST_LINES: Final = 10_000
"""How many lines may wait; further ones are dropped and counted."""

GATHER_SECONDS: Final = 0.02
"""How long the thread lets lines gather after it wrote some, as waking it costs CPU."""

GOODBYE_SECONDS: Final = 1.0
"""How long the program's end waits for them."""


class _Writer(QueueListener):
    """The thread that writes."""

    def __init__(self, lines: "SimpleQueue[Any]", descriptor: int) -> None:
        super().__init__(lines)
        self._lines = lines
        self._descriptor = descriptor

    def handle(self, record: object) -> None:
        """Write a line and those that wait, however long that takes.

        It bypasses Python's buffer, whose lock a hanging thread would hold at the end.
        """
        lines = [str(record), *self._others()]
        text = "\n".join((*lines, ""))
        rest = memoryview(text.encode("utf-8", "backslashreplace"))
        with suppress(OSError):  # the reader is gone
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        time.sleep(GATHER_SECONDS)

    def _others(self) -> Iterator[str]:
        """Take the lines that wait, up to the end of all."""
        while not self._lines.empty():
            line = self._lines.get_nowait()
            if line is None:  # the mark of QueueListener
                self.enqueue_sentinel()
                return
            yield line

    def leave(self, seconds: float) -> None:
        """Write the waiting lines, for at most ``seconds``."""
        if self._thread is not None:
            self.enqueue_sentinel()
            self._thread.join(seconds)
            self._thread = None


class QueuedLines(QueueHandler):
    """Formats each line in the caller's thread, and lets another thread write it."""

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
        """Queue a line, or drop it if the queue is full."""
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
        """Write the waiting lines, for at most a second."""
        self._writer.leave(GOODBYE_SECONDS)
        super().close()


def dropped_lines(handlers: Iterable[logging.Handler]) -> int:
    """Return how many lines these handlers have dropped."""
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
