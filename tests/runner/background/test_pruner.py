"""Pruning: nothing unless asked for, and never for long at a time."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from app.domain.errors import StoreUnavailable
from app.runner.background.pruner import (
    BATCH,
    EVENTS_KEPT,
    LEFTOVERS_KEPT,
    PAUSE_SECONDS,
    STEP,
    Pruner,
)
from app.store.accounts.tables import oauth_states
from app.store.db.engine import Database
from app.store.jobs.tables import tiktok_events
from app.store.retention.pruning import RetentionStore
from app.store.webhooks.endpoints import WebhookStore
from app.store.webhooks.tables import webhook_events
from tests.store.aged import DAY, LONG_AGO, add, over, size, told
from tests.support.accounts import VAULT
from tests.support.factories import NOW, count_jobs, store_row, store_rows


@dataclass
class Clock:
    """A clock that stands still and counts who waits."""

    at: datetime = NOW
    slept: list[float] = field(default_factory=list)
    broken: bool = False

    def now(self) -> datetime:
        """Return where the hands stand."""
        return self.at

    async def sleep(self, seconds: float) -> None:
        """Note that somebody waits, and perhaps be the end of it."""
        self.slept.append(seconds)
        if self.broken:
            raise StoreUnavailable


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Give one process's connection to a fresh database."""
    database = Database(database_url)
    yield database
    await database.close()


def pruner(database: Database, clock: Clock, *, keep: timedelta | None) -> Pruner:
    """Make what prunes."""
    return Pruner(
        store=RetentionStore(database),
        webhooks=WebhookStore(database, VAULT),
        clock=clock,
        keep=keep,
    )


async def test_records_are_kept_unless_pruning_was_asked_for(
    database: Database,
) -> None:
    """Only what has lost its meaning goes by itself."""
    await store_row(database, over())
    await add(database, tiktok_events, **told("pub_1", LONG_AGO))
    await add(
        database,
        oauth_states,
        state_sha256="s",
        project_id="proj_1",
        platform="tiktok",
        expires_at=NOW - LEFTOVERS_KEPT - timedelta(seconds=1),
    )
    await pruner(database, Clock(), keep=None).run_due()
    assert await count_jobs(database) == await size(database, tiktok_events) == 1
    assert await size(database, oauth_states) == 0


async def test_records_go_once_they_are_old_enough(database: Database) -> None:
    """Jobs and events alike, to the day."""
    await store_row(database, over())
    await add(database, tiktok_events, **told("pub_1", LONG_AGO))
    clock = Clock(LONG_AGO + 30 * DAY)
    pruning = pruner(database, clock, keep=30 * DAY)
    await pruning.run_due()
    assert await count_jobs(database) == await size(database, tiktok_events) == 1
    clock.at += STEP
    await pruning.run_due()
    assert await count_jobs(database) == await size(database, tiktok_events) == 0


async def test_webhook_events_go_after_a_month(database: Database) -> None:
    """Even where the records of jobs are kept for ever; one that waits stays."""
    old, young = NOW - EVENTS_KEPT - timedelta(seconds=1), NOW - EVENTS_KEPT
    for name, at, next_at in (
        ("old", old, None),
        ("young", young, None),
        ("waits", old, NOW),
    ):
        await add(
            database,
            webhook_events,
            id=name,
            project_id="proj_1",
            type="job.posted",
            data={},
            created_at=at,
            status="pending" if next_at else "delivered",
            attempts=1,
            next_attempt_at=next_at,
        )
    await pruner(database, Clock(), keep=None).run_due()
    assert await size(database, webhook_events) == 2
    await pruner(database, Clock(NOW + DAY), keep=None).run_due()
    assert await size(database, webhook_events) == 1


async def test_a_pass_leaves_room_between_its_batches(database: Database) -> None:
    """A post meanwhile waits for one batch at most."""
    await store_rows(database, [over() for _ in range(2 * BATCH + 1)])
    clock = Clock()
    await pruner(database, clock, keep=30 * DAY).run_due()
    assert clock.slept == [PAUSE_SECONDS] * 2
    assert await count_jobs(database) == 0


async def test_a_pass_that_was_broken_off_is_gone_on_with(database: Database) -> None:
    """The next pass finishes one that was interrupted."""
    await store_rows(database, [over() for _ in range(BATCH + 1)])
    clock = Clock(broken=True)
    with pytest.raises(StoreUnavailable):
        await pruner(database, clock, keep=30 * DAY).run_due()
    assert await count_jobs(database) == 1
    await pruner(database, Clock(NOW + STEP), keep=30 * DAY).run_due()
    assert await count_jobs(database) == 0
