"""What the repository's host runs: the same gate, with nothing in it that can move."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # ships no types
from typer.main import get_group

from app.cli import app
from tests.support.repository import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"^\s*- uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_to_a_commit(path: Path) -> None:
    """A tag can be moved to other code; the comment says which version it is."""
    used = [line for line in path.read_text().splitlines() if "uses:" in line]
    assert used
    assert [line for line in used if not PINNED.match(line)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_do_no_more_than_it_says(path: Path) -> None:
    """The token is for reading, or for what a job asks for, and is left nowhere."""
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] in ({}, {"contents": "read"})
    for job in workflow["jobs"].values():
        checkouts = [
            step for step in job["steps"] if "checkout" in step.get("uses", "")
        ]
        assert [step["with"]["persist-credentials"] for step in checkouts] == [False]


def test_the_host_runs_the_gate_on_every_supported_python() -> None:
    """One job calls .ci/run; its Pythons are those that the package names."""
    (job,) = _workflow("ci")["jobs"].values()
    assert job["steps"][-1]["run"] == "bash .ci/run"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    assert job["strategy"]["matrix"]["python"] == named


def test_the_form_for_bugs_asks_for_what_the_commands_print() -> None:
    """What it names can be run."""
    form = (ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml").read_text()
    asked = set(re.findall(r"`tiktok-scheduler ([a-z]+)`", form))
    assert asked == {"doctor", "status"}
    assert asked <= {str(command.name) for command in get_group(app).commands.values()}


def _workflow(name: str) -> dict[str, Any]:
    text = (ROOT / ".github" / "workflows" / f"{name}.yml").read_text()
    found: dict[str, Any] = yaml.safe_load(text)
    return found
