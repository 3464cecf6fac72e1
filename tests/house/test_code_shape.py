"""The house's measures: small functions, a domain that stands alone."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.repository import ROOT, source_files

MAX_FUNCTION_LINES = 40

FILES = list(source_files(ROOT / "app", suffix=".py"))
TESTS = list(source_files(ROOT / "tests", suffix=".py"))
DOMAIN = list(source_files(ROOT / "app" / "domain", suffix=".py"))

# Bounds on what another task or process does, as literals.
WAIT = re.compile(
    r"asyncio\.timeout\([\d.]+\)"
    r"|wait_for\([^\n]*timeout=[\d.]+\)"
    r"|AsyncClient\([^)]*timeout=[\d.]+\)"
)


def name(path: Path) -> str:
    """Name a file as people do."""
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=name)
def test_functions_stay_small(path: Path) -> None:
    """No function is over 40 lines; files are cut by duty, not by length."""
    source = path.read_text()
    assert list(_long_functions(ast.parse(source))) == []


@pytest.mark.parametrize("path", DOMAIN, ids=name)
def test_the_domain_imports_the_standard_library_and_msgspec_alone(path: Path) -> None:
    """Whatever else is installed, the domain does without it."""
    allowed = {*sys.stdlib_module_names, "app", "msgspec"}
    foreign = [module for module in _imports(path) if module not in allowed]
    assert foreign == []


def test_no_start_builds_dataclasses() -> None:
    """Each takes up to half a millisecond of every start; a struct takes a twentieth.

    The simulator is a program of its own.
    """
    simulator = ROOT / "app" / "sandbox"
    ours = [path for path in FILES if simulator not in path.parents]
    assert [name(path) for path in ours if "dataclasses" in _imports(path)] == []


def _long_functions(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MAX_FUNCTION_LINES:
                yield f"{node.name}: {lines} lines"


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize("path", TESTS, ids=name)
def test_tests_are_patient(path: Path) -> None:
    """Whoever waits in a test waits PATIENCE_SECONDS: a busy machine is not wrong."""
    assert WAIT.findall(path.read_text()) == []
