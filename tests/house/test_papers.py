"""What the repository says about itself is true and speaks of itself alone."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.repository import ROOT, source_files

PAGES = list(source_files(suffix=".md"))
LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ +(.+?)\s*$", re.MULTILINE)
TARGET = re.compile(r"^\.PHONY: (.+)$", re.MULTILINE)
REGISTRY = re.compile(r"\b(pypi|pythonhosted|npmjs|yarnpkg|debian)\.(org|com|io|net)\b")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_inside_the_repository_lead_somewhere(page: Path) -> None:
    """Every relative link names a file that is there, every anchor a heading."""
    assert list(_dead_links(page)) == []


def test_no_file_names_a_package_registry() -> None:
    """Where packages come from is the machine's business."""
    naming = [
        str(path.relative_to(ROOT))
        for path in source_files()
        if REGISTRY.search(path.read_text(errors="ignore"))
    ]
    assert naming == []


def test_make_help_lists_every_target() -> None:
    """Whoever types `make` sees all there is."""
    targets = re.findall(
        r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    shown = subprocess.run(
        ["make", "--no-print-directory"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    listed = [line.split()[0] for line in shown.splitlines()]
    assert sorted(listed) == sorted(targets)


def _dead_links(page: Path) -> Iterator[str]:
    for link in LINK.findall(FENCE.sub("", page.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file) if file else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            yield link


def _anchors(page: Path) -> set[str]:
    # As GitHub makes them: lower case, punctuation dropped, spaces to hyphens.
    headings = HEADING.findall(FENCE.sub("", page.read_text()))
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in headings
    }


def test_every_decision_stands_in_the_index() -> None:
    """Each record has a number of its own and its line in the index."""
    records = sorted((ROOT / "docs" / "decisions").glob("0*.md"))
    numbers = [path.name[:4] for path in records]
    assert len(set(numbers)) == len(numbers)
    index = (ROOT / "docs" / "decisions" / "README.md").read_text("utf-8")
    assert [path.name for path in records[1:] if f"({path.name})" not in index] == []
