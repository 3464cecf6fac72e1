"""What a start does not wait for, and what the benches import."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.repository import ROOT

# Each costs tens of milliseconds or more, and is needed by one command at most.
LAZY = ("alembic", "app.sandbox", "matplotlib", "typer", "uvicorn", "uvloop")
# The clients come with the first call: a look at an empty queue makes none.
CALLS = ("click", "h11", "httpcore", "httpx")
PROGRAMS = {
    "app.main": (*LAZY, *CALLS, "rich"),
    "app.worker": (*LAZY, *CALLS, "fastapi", "rich"),
    "app.cli": LAZY[:3],
}
# What a worker may come to need: an event's body is written in its event loop.
LATER = ("app.schemas.events", "app.use_cases")
BENCHES = sorted((ROOT / "bench").rglob("*.py"))


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_start_imports_only_what_it_needs(program: str) -> None:
    """No process waits for what another one uses."""
    loaded = modules_after(program)
    assert program in loaded
    assert loaded.isdisjoint(PROGRAMS[program])


def test_a_worker_never_needs_a_web_framework() -> None:
    """Importing one would hold up every attempt of the process for a third of a second.

    Nor do the commands that show what the API shows.
    """
    loaded = modules_after("app.worker", *LATER)
    assert loaded.issuperset(LATER)
    assert loaded.isdisjoint({"fastapi", "starlette", "uvicorn"})


def modules_after(*names: str) -> set[str]:
    """List what is loaded once these are imported, in a process of their own."""
    code = f"import sys, {', '.join(names)}; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return set(run.stdout.split())


@pytest.mark.parametrize("path", BENCHES, ids=lambda path: path.name)
def test_benches_import_what_is_there(path: Path) -> None:
    """No type checker reads the benches, so a moved module would break them unseen."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("app."):
            module = importlib.import_module(node.module or "")
            for name in node.names:
                if not hasattr(module, name.name):
                    importlib.import_module(f"{node.module}.{name.name}")
