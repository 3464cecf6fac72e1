"""What is installed: pinned, hashed, and silent on where it came from."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

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
    pins = _pins(ROOT / "requirements" / file)
    for wanted in _wanted(file):
        assert wanted.name in pins
        assert wanted.specifier.contains(pins[wanted.name])


def test_tests_run_on_what_is_deployed() -> None:
    """A library has the same version in dev.txt as in base.txt."""
    base, dev = (
        _pins(ROOT / "requirements" / file) for file in ("base.txt", "dev.txt")
    )
    assert {name: dev.get(name) for name in base} == base


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
