"""What an import makes is no garbage."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """Import without the garbage collector, and keep it off what was imported.

    A start makes a quarter of a million objects that live as long as the process. The
    collector would search them all, again and again: an eighth of the start's time.
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
