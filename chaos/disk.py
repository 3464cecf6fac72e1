"""A small disk, which can be filled in the middle of a post."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

_FILLER = "filler"


@contextmanager
def small_disk(directory: Path) -> Iterator[None]:
    """Mount a disk of one megabyte; needs the privilege to mount."""
    options = ["-t", "tmpfs", "-o", "size=1m", "tmpfs"]
    subprocess.run(["mount", *options, directory], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)


@cache
def can_mount() -> bool:
    """Tell whether this process may mount one."""
    with TemporaryDirectory() as directory:
        try:
            with small_disk(Path(directory)):
                return True
        except (OSError, subprocess.CalledProcessError):
            return False


def fill(directory: Path) -> None:
    """Fill the disk."""
    with (directory / _FILLER).open("wb", buffering=0) as filler:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while filler.write(bytes(size)):
                    pass
            except OSError:
                continue
    os.sync()


def free(directory: Path) -> None:
    """Free the space again."""
    (directory / _FILLER).unlink()
