"""What is installed: pinned, hashed, and silent on where it came from."""

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.pin_every_form import every_form
from tests.support.repository import ROOT

FILES = sorted((ROOT / "requirements").glob("*.txt"))
PIN = re.compile(r"^([a-z0-9][a-z0-9.-]*)(\[[^]]*\])?==([0-9][^ ]*)( ; [^\\]*)? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")
ORIGIN = re.compile(r"^    #( +via)?( +[\w.-]+(\[[\w,-]+\])?( \([\w.:-]+\))?)?$")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_lock_file_holds_pins_hashes_and_reasons_alone(path: Path) -> None:
    """No host, no path and no command line slips into a lock file."""
    strange = [
        line
        for line in path.read_text().splitlines()
        if not any(form.match(line) for form in (PIN, HASH, ORIGIN))
    ]
    assert strange == []


@pytest.mark.parametrize("file", ["base.txt", "otel.txt", "dev.txt"])
def test_a_lock_file_fits_what_the_project_asks_for(file: str) -> None:
    """After a change of pyproject.toml comes `make lock`."""
    path = ROOT / "requirements" / file
    pins, forms = _pins(path), _forms(path)
    for wanted in _wanted(file):
        assert (wanted.name, frozenset(wanted.extras)) in forms
        assert wanted.specifier.contains(pins[wanted.name])


def test_tests_run_on_what_is_deployed() -> None:
    """A library has the same version in dev.txt as in base.txt."""
    base, dev = (
        _pins(ROOT / "requirements" / file) for file in ("base.txt", "dev.txt")
    )
    assert {name: dev.get(name) for name in base} == base


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_lock_file_pins_every_form_that_is_asked_for(path: Path) -> None:
    """Whatever is published next, pip before 23.3 has a pin for what it looks for."""
    pinned = _forms(path)
    plain = {(name, frozenset[str]()) for name, _ in pinned}
    assert {*_asked_for(pinned), *plain} <= pinned


def test_a_name_with_extras_is_pinned_in_each_form() -> None:
    """Plainly, with each extra and with all; what is pinned so already stays."""
    body = " \\\n    --hash=sha256:00\n    # via other\n"
    forms = ["a==1.0 ; m", "b==2", "b[x]==2", "b[y]==2", "b[x,y]==2", "c==3"]
    wanted = "".join(f"{form}{body}" for form in forms)
    written = "".join(f"{form}{body}" for form in ("a==1.0 ; m", "b[x,y]==2", "c==3"))
    assert every_form(written) == wanted
    assert every_form(wanted) == wanted


def _pins(path: Path) -> dict[str, str]:
    matches = (PIN.match(line) for line in path.read_text().splitlines())
    return {match[1]: match[3] for match in matches if match}


def _wanted(file: str) -> list[Requirement]:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lines = [*project["project"]["dependencies"]]
    if file == "otel.txt":
        lines += project["project"]["optional-dependencies"][Path(file).stem]
    if file == "dev.txt":
        lines += project["dependency-groups"]["dev"]
    return [Requirement(line) for line in lines]


Form = tuple[str, frozenset[str]]


def _forms(path: Path) -> set[Form]:
    matches = (PIN.match(line) for line in path.read_text().splitlines())
    return {
        (match[1], frozenset((match[2] or "").strip("[]").split(",")) - {""})
        for match in matches
        if match
    }


def _asked_for(pinned: set[Form]) -> Iterator[Form]:
    """Find what the pinned ones that are installed here ask of each other."""
    installed = {str(canonicalize_name(each.name)): each for each in distributions()}
    for name, extras in pinned:
        if name in installed:
            for line in installed[name].requires or ():
                wanted = Requirement(line)
                if _applies(wanted, extras):
                    yield canonicalize_name(wanted.name), frozenset(wanted.extras)


def _applies(wanted: Requirement, extras: frozenset[str]) -> bool:
    marker = wanted.marker
    return marker is None or any(marker.evaluate({"extra": e}) for e in {"", *extras})
