"""Imported objects are no garbage."""

import gc
import subprocess
import sys

import pytest

from app.machine import collector
from tests.support.repository import ROOT

# Prints a word for each full search, and what the import left behind.
WATCHED = """
import gc
gc.callbacks.append(lambda when, info: info["generation"] == 2 and print("searched"))
import {}
gc.callbacks.clear()
print(gc.isenabled(), gc.get_freeze_count() > len(gc.get_objects()))
"""


@pytest.mark.parametrize("program", ["app.main", "app.worker"])
def test_a_start_is_not_searched_for_garbage(program: str) -> None:
    """A program's modules are made without the collector, and out of its reach."""
    command = [sys.executable, "-c", WATCHED.format(program)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["True", "True"]


@pytest.mark.parametrize("collects", [True, False])
def test_the_collector_is_left_as_it_was(collects: bool) -> None:
    """Who had turned it off finds it off."""
    (gc.enable if collects else gc.disable)()
    try:
        with collector.paused():
            assert not gc.isenabled()
        assert gc.isenabled() is collects
    finally:
        gc.unfreeze()
        gc.enable()
