"""Every block of commands in the pages, and how it is tried, or why it is not.

A block is told by its first words. `make docs` shows each one that is not run, with its
reason.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from tests.support.repository import ROOT, source_files

FENCED: Final = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
BLOCK: Final = re.compile(r"^ *```sh\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


class Place(Enum):
    """Where a page's commands are typed."""

    FOLDER = auto()  # an empty folder, and the program
    SIMULATOR = auto()  # beside the simulator
    SERVICE = auto()  # beside the simulator and a service that posts to it
    SERVER = auto()  # a machine with a service's files and its Postgres database


@dataclass(frozen=True, slots=True)
class Run:
    """A block that is typed; the blocks of a page and place go into one shell."""

    begins: str
    place: Place = Place.FOLDER
    fails: str | None = None  # a command that is to end with another status than 0
    first: str = ""  # what has to have happened before


@dataclass(frozen=True, slots=True)
class NotRun:
    """A block that is not typed."""

    begins: str
    why: str


@dataclass(frozen=True, slots=True)
class Block:
    """Commands as they stand in a page."""

    page: str
    line: int
    text: str


_GATE: Final = "it is a part of the gate itself, or the gate is"
_MINUTES: Final = "it takes minutes; tests run a part of it"
_ROOT: Final = "needs root and systemd; tests/house/test_deploy.py verifies the units"
_DOCKER: Final = "needs Docker; tests/system/test_compose_file.py runs the services"
_CLUSTER: Final = "needs a cluster; tests/house/test_deploy.py checks the manifests"
_FOR_GOOD: Final = "cannot be taken back"

_AN_EVENT: Final = """\
AS_ME="Authorization: Bearer $KEY"
curl $BASE/v1/jobs -H "$AS_ME" -H "Content-Type: application/json" -d '{
  "projectId": "proj_1", "assetId": "a", "post": {"mode": "inbox"},
  "assetUrl": "'$SANDBOX'/_sandbox/video.mp4"}'
until curl $BASE/v1/projects/proj_1/webhook/events -H "$AS_ME" | jq -e '.items[0]'
do sleep 0.2
done
"""

PLAN: Final[Mapping[str, Sequence[Run | NotRun]]] = {
    "CONTRIBUTING.md": [NotRun("make test", _GATE)],
    "README.md": [
        NotRun("make demo", _GATE),
        Run("make install"),
        Run("curl -sX POST"),
        Run('curl "http'),
    ],
    "docs/connect.md": [
        Run("curl -X POST", Place.SERVICE),
        Run("tiktok-scheduler sandbox"),
    ],
    "docs/crash-matrix.md": [NotRun("make chaos", _MINUTES)],
    "docs/deploy/backups.md": [
        Run("cd /var/lib", Place.SERVER),
        Run("systemctl stop", Place.SERVER),
        Run("pg_dump", Place.SERVER),
        Run("createdb", Place.SERVER),
        Run("tiktok-scheduler restore-hold", Place.SERVER, "restore-hold"),
        Run("mkdir", Place.SERVER),
    ],
    "docs/deploy/compose.md": [
        NotRun("tiktok-scheduler init", _DOCKER),
        NotRun("docker build", _DOCKER),
        Run("cp .env.example"),
        NotRun("tiktok-scheduler init --simulator", _DOCKER),
    ],
    "docs/deploy/cron.md": [
        NotRun("openssl", "changes a crontab; tests/system/test_recipes.py checks it")
    ],
    "docs/deploy/keys.md": [
        Run("openssl", Place.SERVICE),
        Run("tiktok-scheduler keys create", Place.SERVICE, "revoke ID"),
    ],
    "docs/deploy/kubernetes.md": [NotRun("docker build", _CLUSTER)],
    "docs/deploy/systemd.md": [
        NotRun("python3 -m venv", _ROOT),
        NotRun("cp deploy/systemd", _ROOT),
        NotRun("cd /var/lib", _ROOT),
        NotRun("cd /var/lib", _ROOT),
    ],
    "docs/deploy/upgrades.md": [
        NotRun("/opt/tiktok-scheduler", _ROOT),
        NotRun("kubectl", _CLUSTER),
    ],
    "docs/live-updates.md": [
        Run("curl -N", Place.SERVICE),
        Run('curl "http', Place.SERVICE),
    ],
    "docs/metrics.md": [Run("tiktok-scheduler worker", Place.SERVICE)],
    "docs/performance.md": [NotRun("make bench", _MINUTES)],
    "docs/releasing.md": [
        NotRun("version=", _FOR_GOOD),
        NotRun("bash .ci/run", _GATE),
        NotRun("git tag", _FOR_GOOD),
        NotRun("python3 -m venv", "make fresh builds the wheel and installs it"),
        NotRun("twine upload", _FOR_GOOD),
        NotRun("pipx run", "runs what was uploaded"),
    ],
    "docs/simulator.md": [Run("", Place.SIMULATOR)] * 18,
    "docs/tiktok-app.md": [NotRun("TIKTOK_CLIENT_KEY", "lines of a .env")],
    "docs/webhooks.md": [
        Run("curl -X PUT", Place.SERVICE),
        Run("WEBHOOK=", Place.SERVICE, first=_AN_EVENT),
    ],
    "examples/compose/README.md": [NotRun("make compose-page", _GATE)],
    "examples/typescript/README.md": [NotRun("make example", _GATE)],
}


OTHERS: Final[Mapping[tuple[str, str], str]] = {
    ("CONTRIBUTING.md", ""): "the order of imports",
    ("docs/architecture.md", ""): "the order of imports",
    ("docs/connect.md", ""): "a drawing",
    ("docs/deploy/cron.md", ""): "a crontab; tests/system/test_recipes.py runs it",
    ("docs/deploy/keys.md", "sql"): "tests/system/test_recipes.py runs it",
    ("docs/deploy/postgres.md", "sql"): "tests/system/test_recipes.py runs it",
    ("docs/deploy/systemd.md", ""): "lines of a .env",
    ("docs/lifecycle.md", "mermaid"): "a drawing",
    ("docs/live-updates.md", ""): "what the stream sends",
    ("docs/live-updates.md", "js"): "needs a browser; tests/api tries ?token=",
    ("docs/simulator.md", "console"): "every block of this page runs beside it",
    ("docs/simulator.md", "yaml"): "a job of somebody's CI",
    ("docs/webhooks.md", "json"): "an event; tests/house/test_webhook_docs.py reads it",
    ("docs/webhooks.md", "python"): "tests/house/test_webhook_docs.py runs it",
    ("examples/compose/README.md", ""): "a drawing",
}
"""Fenced blocks that are not commands for a shell, by page and language."""


def other_blocks() -> set[tuple[str, str]]:
    """Name every page and language of a fenced block that is not for a shell."""
    found = set[tuple[str, str]]()
    for path in source_files(suffix=".md"):
        page = str(path.relative_to(ROOT))
        for fence in FENCED.finditer(path.read_text("utf-8")):
            found.add((page, fence[1]))
    return {(page, language) for page, language in found if language != "sh"}


def blocks_of(page: str) -> list[Block]:
    """Read a page's blocks of commands."""
    text = (ROOT / page).read_text("utf-8")
    return [
        Block(page, text.count("\n", 0, found.start()) + 1, _dedented(found[1]))
        for found in BLOCK.finditer(text)
    ]


def pages() -> Iterator[str]:
    """Name every page that has commands."""
    for path in source_files(suffix=".md"):
        page = str(path.relative_to(ROOT))
        if blocks_of(page):
            yield page


def not_run() -> list[tuple[Block, str]]:
    """Name every block that is not run, with the reason."""
    return list(_not_run())


def _not_run() -> Iterator[tuple[Block, str]]:
    for page, plan in PLAN.items():
        for block, how in zip(blocks_of(page), plan, strict=True):
            if isinstance(how, NotRun):
                yield block, how.why


def to_run() -> list[tuple[str, Place, list[tuple[Block, Run]]]]:
    """Put together what is typed into one shell."""
    return list(_to_run())


def _to_run() -> Iterator[tuple[str, Place, list[tuple[Block, Run]]]]:
    for page, plan in PLAN.items():
        for place in Place:
            found = [
                (block, how)
                for block, how in zip(blocks_of(page), plan, strict=True)
                if isinstance(how, Run) and how.place is place
            ]
            if found:
                yield page, place, found


def _dedented(text: str) -> str:
    margin = len(text) - len(text.lstrip(" "))
    return re.sub(rf"^ {{{margin}}}", "", text, flags=re.MULTILINE)
