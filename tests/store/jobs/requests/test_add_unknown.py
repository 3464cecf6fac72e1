"""Adding a job while the database goes away: known, or said to be unknown."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.errors import MayHaveBeenStored, StoreUnavailable, WriteUnknown
from app.domain.jobs.idempotency_keys import RequestKey
from app.store.db.engine import Database
from app.store.jobs.requests.job_store import JobStore
from tests.support.factories import NOW, count_jobs, new_job

KEY = RequestKey("k-1", "digest")
WAYS = pytest.mark.parametrize(
    ("at", "key"),
    [
        pytest.param(NOW + timedelta(days=1), None, id="in a group"),
        pytest.param(None, None, id="alone"),
        pytest.param(NOW - timedelta(days=60), None, id="where records may be pruned"),
        pytest.param(None, KEY, id="under a key"),
    ],
)


class Flaky(Database):
    """A database that loses the answer to a write, and may stay away after that."""

    loses = 0
    """How many answers are lost; what was written stays."""
    stays_away = False

    async def run(self, *given: Any, **more: Any) -> Sequence[Row[Any]]:  # noqa: ANN401
        """Run one statement."""
        self._look()
        rows = await super().run(*given, **more)
        self._lose()
        return rows

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Give a transaction."""
        self._look()
        async with super().write() as connection:
            yield connection
        self._lose()

    def _look(self) -> None:
        if self.stays_away and not self.loses:
            raise StoreUnavailable

    def _lose(self) -> None:
        if self.loses:
            self.loses -= 1
            raise WriteUnknown


@pytest.fixture
async def flaky(database_url: str) -> AsyncIterator[Flaky]:
    """Give a database that may be told to lose answers."""
    database = Flaky(database_url)
    yield database
    await database.close()


@WAYS
async def test_a_job_whose_insert_was_not_answered_is_found(
    flaky: Flaky, at: datetime | None, key: RequestKey | None
) -> None:
    """It was stored, and is told as new: once, however often the answer is lost."""
    flaky.loses = 2
    job, created = await JobStore(flaky).add(
        new_job(scheduled_for=at), now=NOW, key=key
    )
    assert created
    assert await JobStore(flaky).get(job.id) == job
    assert await count_jobs(flaky) == 1


@WAYS
async def test_what_cannot_be_known_is_said_with_the_jobs_id(
    flaky: Flaky, at: datetime | None, key: RequestKey | None
) -> None:
    """The database does not come back: the caller can ask for that very job later."""
    flaky.loses, flaky.stays_away = 1, True
    with pytest.raises(MayHaveBeenStored) as unknown:
        await JobStore(flaky).add(new_job(scheduled_for=at), now=NOW, key=key)
    flaky.stays_away = False
    found = await JobStore(flaky).get(unknown.value.job_id)
    assert found.project_id == new_job().project_id
    assert unknown.value.job_id in str(unknown.value)


async def test_what_was_never_sent_changed_nothing(flaky: Flaky) -> None:
    """Then the caller may simply send it again."""
    flaky.stays_away = True
    with pytest.raises(StoreUnavailable) as refused:
        await JobStore(flaky).add(new_job(), now=NOW)
    assert not isinstance(refused.value, MayHaveBeenStored | WriteUnknown)
