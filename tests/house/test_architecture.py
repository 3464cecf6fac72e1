"""docs/architecture.md tells of the code as it is."""

import re
from pathlib import Path

from tests.support.repository import ROOT

PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`((?:app|chaos|bench)/[\w/.]*)`", PAGE)))


def test_every_folder_of_the_service_is_explained() -> None:
    """Each folder with code has its line among the rooms."""
    folders = {
        f"{path.parent.relative_to(ROOT)}/" for path in (ROOT / "app").rglob("*.py")
    }
    explained = set(re.findall(r"^\| `(app/[\w/]*)` \|", PAGE, re.MULTILINE))
    assert folders - explained == set()
    assert explained - folders == set()


def test_every_file_it_names_exists() -> None:
    """No step leads to a file that was moved."""
    assert len(NAMED) > 30
    assert [name for name in NAMED if not (ROOT / name).exists()] == []


def test_the_readme_leads_there_first() -> None:
    """Whoever reads on begins with the architecture."""
    readme = (ROOT / "README.md").read_text("utf-8")
    links = re.findall(r"\]\((docs/[\w/.-]+)\)", readme.partition("## Read on")[2])
    assert links[0] == "docs/architecture.md"


def test_contributing_names_the_same_rooms() -> None:
    """The line of layers stands in both, with every room."""
    contributing = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    rooms = {path.parent.name for path in (ROOT / "app").glob("*/__init__.py")}
    for room in rooms - {"sandbox"}:
        assert re.search(rf"\b{room}\b", contributing), room
    assert Path(ROOT / "docs" / "architecture.md").name in contributing
