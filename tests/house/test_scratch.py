"""Temporary files go to memory where that is wise."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.support.scratch import ROOM, use_memory

DISK = "/somewhere"


@pytest.fixture(autouse=True)
def nobody_chose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start from a machine where nothing is set, and put everything back."""
    # tmp_path comes first: pytest makes it in the folder that is changed here.
    monkeypatch.setenv("TMPDIR", "")
    monkeypatch.delenv("TMPDIR")
    monkeypatch.setattr(tempfile, "tempdir", DISK)


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Give the number of free bytes, to be changed."""
    free = [ROOM + 1]
    usage = type(shutil.disk_usage("/"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, free[0]))
    return free


def test_memory_is_used_where_there_is_room(tmp_path: Path, room: list[int]) -> None:
    """This process and those it starts put their files there."""
    use_memory(tmp_path)
    assert tempfile.gettempdir() == os.environ["TMPDIR"] == str(tmp_path)


def test_a_small_memory_is_left_alone(tmp_path: Path, room: list[int]) -> None:
    """A container's 64 MiB would be full at once."""
    room[0] = ROOM
    use_memory(tmp_path)
    assert tempfile.gettempdir() == DISK


def test_a_machine_without_one_is_no_problem(tmp_path: Path) -> None:
    """Not every system has such a folder."""
    use_memory(tmp_path / "missing")
    assert tempfile.gettempdir() == DISK


def test_what_somebody_chose_stays(
    tmp_path: Path, room: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A TMPDIR that is set is kept."""
    monkeypatch.setenv("TMPDIR", DISK)
    use_memory(tmp_path)
    assert os.environ["TMPDIR"] == tempfile.gettempdir() == DISK
