"""What a start does not wait for, and what the benches import."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.support.repository import ROOT, source_files

# Each costs tens of milliseconds or more, and is needed by one command at most.
LAZY = ("alembic", "app.sandbox", "matplotlib", "typer", "uvicorn", "uvloop")
# The clients come with the first call: a look at an empty queue makes none.
CALLS = ("click", "h11", "httpcore", "httpx")
# Only the URL of the database tells which of them is needed.
DATABASES = (
    *("asyncpg", "sqlalchemy.dialects.postgresql"),
    *("aiosqlite", "sqlite3", "sqlalchemy.dialects.sqlite"),
)
START = (*LAZY, *CALLS, *DATABASES, "rich")
PROGRAMS = {
    "app.main": (*START, "pydantic.v1.main"),
    "app.worker": (*START, "fastapi"),
    "app.cli": LAZY[:3],
}
# What a worker may come to need: an event's body is written in its event loop.
LATER = ("app.schemas.events", "app.use_cases")
BENCHES = sorted((ROOT / "bench").rglob("*.py"))
FOLDERS = ("app", "bench", "chaos", "migrations", "scripts", "tests")


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


def test_no_imports_run_in_a_circle() -> None:
    """No file needs itself by a detour, be it for a type alone or inside a function."""
    files = [
        path for folder in FOLDERS for path in source_files(ROOT / folder, suffix=".py")
    ]
    modules = {module_of(path): path for path in files}
    graph = {
        module: {name for name in imports(path) if name in modules and name != module}
        for module, path in modules.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))


def module_of(path: Path) -> str:
    """Return the name by which a file is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[str]:
    """Yield all that a file imports; of `from a import b`, both a and a.b."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
