r"""Whatever happens: no post of one person through another, and none too late.

    PERSON_WEEKS=500 PERSON_SEED=7 pytest tests/runner/test_persons.py

lives longer; a failure names its seed and tells what happened.
"""

import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from app.grants.grants import Grants
from app.runner.attempts.attempt_state import AttemptState
from tests.runner.persons import Untrue, Weeks
from tests.runner.stage import staged
from tests.support.databases import SqliteDatabases

WEEKS = int(os.environ.get("PERSON_WEEKS", "8"))
SEED = int(os.environ.get("PERSON_SEED", "1"))
ENOUGH_TO_SHOW = 60
STEPS = 18


async def lived(database_url: str, seed: int) -> None:
    """Live through the weeks that a seed stands for; raises Untrue."""
    async with staged(database_url) as stage:
        worker = await stage.worker(poll_deadline_seconds=0.1)
        weeks = Weeks(stage, worker, Random(seed))
        try:
            await weeks.live(STEPS)
        except AssertionError as error:
            error.add_note(f"with the seed {seed}: {', '.join(weeks.story)}")
            raise


@pytest.mark.parametrize("seed", range(SEED * 10**6, SEED * 10**6 + WEEKS))
async def test_no_weeks_post_as_somebody_else_or_too_late(
    database_url: str, seed: int
) -> None:
    """Over any sequence of faults, reconnects and outages.

    No init after ``publishBy``, none with the token of another person, and no posted
    job shows an id or an address of another person's account.
    """
    await lived(database_url, seed)


def anybodys_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hand out whatever token the project has."""
    usable = Grants._usable

    async def careless(self: Grants, project: str, platform: str, _: object) -> Any:  # noqa: ANN401
        return await usable(self, project, platform, None)

    monkeypatch.setattr(Grants, "_usable", careless)


def no_last_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send whatever the clock says."""
    monkeypatch.setattr(AttemptState, "missed", lambda _: None)


@pytest.mark.parametrize("without", [anybodys_token, no_last_moment])
async def test_the_weeks_are_wild_enough(
    sqlite_databases: SqliteDatabases,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    without: Callable[[pytest.MonkeyPatch], None],
) -> None:
    """The same weeks break a promise without one of these."""
    without(monkeypatch)

    async def all_of_them() -> None:
        for seed in range(ENOUGH_TO_SHOW):
            directory = tmp_path / str(seed)
            directory.mkdir()
            await lived(sqlite_databases.create(directory), seed)

    with pytest.raises(Untrue):
        await all_of_them()
