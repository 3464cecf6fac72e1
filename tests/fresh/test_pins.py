"""The pins install into an empty environment, whatever was published since."""

from pathlib import Path

import pytest

from tests.fresh.environment import new_environment
from tests.support.repository import ROOT

TOGETHER = {"base.txt", "build.txt", "dev.txt"}
OTHERS = {path.name for path in (ROOT / "requirements").glob("*.txt")} - TOGETHER


@pytest.mark.parametrize("pip", ["oldest", "newest"])
def test_the_pins_install_with_any_supported_pip(tmp_path: Path, pip: str) -> None:
    """First what the service needs, as for the demo; then what the tests need."""
    environment = new_environment(tmp_path, pip=pip)
    environment.install("base.txt", "build.txt")
    environment.install("dev.txt")
    assert "No broken requirements" in environment.pip("check")


@pytest.mark.parametrize("file", sorted(OTHERS))
def test_what_few_install_is_there_too(tmp_path: Path, file: str) -> None:
    """Every pin can be had, and each with what it needs."""
    environment = new_environment(tmp_path, pip="oldest")
    environment.install(file)
    assert "No broken requirements" in environment.pip("check")
