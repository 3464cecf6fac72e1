"""What docs/security.md says holds each promise is there."""

import ast
import re
from pathlib import Path

import pytest

from tests.support.repository import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text()
HELD_BY = re.findall(r"`(tests/[\w/.]+)` \((\d+)\)", PAGE)


@pytest.mark.parametrize(("place", "least"), sorted(set(HELD_BY)))
def test_as_many_tests_hold_a_promise_as_it_says(place: str, least: str) -> None:
    """Tests may be added; who takes one away has to say so on the page."""
    path = ROOT / place
    files = [path] if path.is_file() else sorted(path.rglob("test_*.py"))
    assert sum(map(_tests_in, files)) >= int(least) > 0


def test_every_promise_names_its_tests() -> None:
    """A promise that nothing holds is none."""
    _, _, table = PAGE.partition("| promise | held by |\n|---|---|\n")
    rows = table.partition("\n\n")[0].splitlines()
    assert len(rows) > 10
    assert all(re.search(r"`tests/[\w/.]+` \(\d+\)", row) for row in rows)


def _tests_in(path: Path) -> int:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = ast.walk(ast.parse(path.read_text()))
    return sum(
        isinstance(each, functions) and each.name.startswith("test_") for each in found
    )
