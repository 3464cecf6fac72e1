"""Logging waits for no reader; dropped lines are counted and reported."""

import logging
import os
import threading

import pytest

from app.machine.log_writer import QueuedLines, dropped_lines
from tests.support.patience import PATIENCE_SECONDS

PIPE = 2**20
"""More than any pipe holds."""


class Pipe:
    """A pipe with a reader that may be slow."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()

    def read_all(self) -> list[str]:
        """Read until the writer is closed."""
        with os.fdopen(self.reader, encoding="utf-8") as file:
            return file.read().splitlines()


@pytest.fixture
def pipe() -> Pipe:
    """Give a pipe that nobody reads yet."""
    return Pipe()


def logger_to(handler: QueuedLines) -> logging.Logger:
    """Make a logger of its own."""
    logger = logging.getLogger("test of lines")
    logger.propagate = False
    logger.handlers[:] = [handler]
    return logger


def test_lines_come_out_whole_and_in_order(pipe: Pipe) -> None:
    """The end waits until all are written."""
    handler = QueuedLines(pipe.writer)
    logger = logger_to(handler)
    for number in range(100):
        logger.warning("line %s", number)
    handler.close()
    os.close(pipe.writer)
    assert pipe.read_all() == [f"line {number}" for number in range(100)]
    assert handler.dropped == 0


def test_a_pipe_that_nobody_reads_holds_nobody_up(pipe: Pipe) -> None:
    """Once the queue is full too, lines are dropped; the log says so later."""
    handler = QueuedLines(pipe.writer, most=10)
    logger = logger_to(handler)
    logger.warning("x" * PIPE)
    for number in range(50):
        logger.warning("line %s", number)
    dropped = dropped_lines([handler, logging.NullHandler()])
    assert dropped >= 40
    handler.close()  # in a second, although nothing can be written
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.extend(pipe.read_all()))
    reader.start()
    while handler._lines.qsize():
        reader.join(0.01)
    handler = QueuedLines(pipe.writer)
    logger_to(handler).warning("again")
    handler.close()
    os.close(pipe.writer)
    reader.join(PATIENCE_SECONDS)
    assert found[0] == "x" * PIPE
    assert found[-1] == "again"
    assert len(found) == 1 + 50 - dropped + 1


def test_what_was_dropped_is_told_before_the_next_line(pipe: Pipe) -> None:
    """Who reads the log later sees the gap."""
    handler = QueuedLines(pipe.writer, most=1)
    logger = logger_to(handler)
    logger.warning("x" * PIPE)
    for _ in range(9):
        logger.warning("lost")
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.extend(pipe.read_all()))
    reader.start()
    while handler._lines.qsize():
        reader.join(0.01)
    logger.warning("next")
    handler.close()
    os.close(pipe.writer)
    reader.join(PATIENCE_SECONDS)
    assert handler.dropped >= 7
    *_, told, last = found
    assert told.startswith(f"{handler.dropped} log lines were dropped")
    assert last == "next"
