"""Shortages of a process's resources, for the length of a block."""

import gc
import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

BESIDE_THE_TEST = threading.Lock()
"""Held by whatever opens descriptors on another thread while a test runs."""


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Let nothing be opened any more, and nothing be closed but by the block itself."""
    with BESIDE_THE_TEST:
        gc.collect()
        gc.disable()
        try:
            with _all_taken():
                yield
        finally:
            gc.enable()


@contextmanager
def _all_taken() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    probe = os.open(os.devnull, os.O_RDONLY)
    filled = [probe]
    resource.setrlimit(resource.RLIMIT_NOFILE, (probe + 16, hard))
    with suppress(OSError):
        while True:
            filled.append(os.dup(probe))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for each in filled:
            os.close(each)


@contextmanager
def no_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let no thread be started any more."""

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        yield
