"""End a program that was told to stop, whatever hangs."""

import asyncio
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

import structlog

log = structlog.get_logger(__name__)

STOP_SECONDS: Final = 10.0
"""How long a program may live after it was told to stop."""

KEEPING_SECONDS: Final = 4.0
"""How long a process lives on after an answer of TikTok's: until it is written to the
database, or to a file while that hangs."""

SIGNALS: Final = tuple(
    getattr(signal, name)
    for name in ("SIGTERM", "SIGINT", "SIGHUP")
    if hasattr(signal, name)
)

_LOOK_EVERY_SECONDS: Final = 0.1


def nobody_calls() -> bool:
    """Tell that no call to TikTok is running."""
    return False


class LastExit:
    """Ends the process if it was told to stop and does not.

    A hanging database, a silent resolver and the threads that wait for them must not
    keep the process. Jobs that were not given back are free when their lease ends. Only
    a running call to TikTok gets more time: its answer decides whether there is a post.
    """

    def __init__(self, *, call_seconds: float) -> None:
        """Take the time-out of a call to TikTok."""
        self._call_seconds = call_seconds
        self._is_calling = nobody_calls
        self._watched = False

    def spare(self, is_calling: Callable[[], bool]) -> None:
        """Take a function that tells whether a call to TikTok is running."""
        self._is_calling = is_calling

    def watch(self) -> None:
        """Start the timer; the second call does nothing."""
        if not self._watched:
            self._watched = True
            thread = threading.Thread(target=self._wait, name="last exit", daemon=True)
            thread.start()

    def _wait(self) -> None:
        """Wait in a thread, since the loop itself may hang."""
        ends_at = time.monotonic() + STOP_SECONDS
        at_the_latest = ends_at + self._call_seconds
        while True:
            now = time.monotonic()
            if self._is_calling() and now < at_the_latest:
                ends_at = max(ends_at, now + KEEPING_SECONDS)
            elif now >= ends_at:
                break
            time.sleep(_LOOK_EVERY_SECONDS)
        log.warning(
            "a part of the program hangs; stopped without it", seconds=STOP_SECONDS
        )
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0)


def stopped_by_signal(last_exit: LastExit) -> asyncio.Event:
    """Return an event that a signal sets; the signal also starts the last exit."""
    stop = asyncio.Event()

    def act(_signal: int) -> None:
        last_exit.watch()
        stop.set()

    on_signal(act)
    return stop


def on_signal(act: Callable[[int], None]) -> None:
    """Call a function at SIGTERM and SIGINT; needs a running loop."""
    loop = asyncio.get_running_loop()
    for each in SIGNALS:
        loop.add_signal_handler(each, act, each)
