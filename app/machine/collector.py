"""Keep the garbage collector away from objects that live long."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

THRESHOLD: Final = 50_000
"""New objects before a collection; Python's default of 700 is a few requests.

A few hundred attempts hold tens of thousands, none of them garbage. Records that cannot
be part of a cycle (``gc=False``) do not count.
"""

OBJECTS_OF_AN_ATTEMPT: Final = 100
"""About as many live as long as an attempt does."""


@contextmanager
def paused() -> Iterator[None]:
    """Pause the garbage collector, then exempt everything made meanwhile.

    A start makes a quarter of a million objects that live as long as the process.
    Collecting among them took an eighth of the start's time.
    https://docs.python.org/3/library/gc.html#gc.freeze
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()


def run_less(attempts: int = 0) -> None:
    """Make the collector run less: it took a tenth of a busy worker's CPU.

    ``attempts`` may be in flight at a time: waiting for TikTok, they are no garbage.
    Objects made before the work begins are frozen by ``app.serving.server`` and
    ``app.worker``.
    """
    gc.set_threshold(THRESHOLD + OBJECTS_OF_AN_ATTEMPT * attempts)
