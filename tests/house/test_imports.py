"""What a start does not wait for."""

import subprocess
import sys

import pytest

from tests.support.repository import ROOT

# Each costs tens of milliseconds or more, and is needed by one command at most.
LAZY = ("alembic", "app.sandbox", "matplotlib", "typer", "uvicorn", "uvloop")
# The clients come with the first call: a look at an empty queue makes none.
CALLS = ("click", "h11", "httpcore", "httpx")
PROGRAMS = {
    "app.main": (*LAZY, *CALLS),
    "app.worker": (*LAZY, *CALLS, "fastapi"),
    "app.cli": LAZY[:3],
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_start_imports_only_what_it_needs(program: str) -> None:
    """No process waits for what another one uses."""
    code = f"import sys, {program}; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert program in loaded
    assert loaded.isdisjoint(PROGRAMS[program])
