"""A post never goes out before its time because one clock is wrong."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest
from msgspec import structs
from sqlalchemy import update
from structlog.testing import capture_logs

from app.container import open_container
from app.domain.events import EventStatus
from app.machine.clock import ClockWatch, SystemClock
from app.sandbox.recording import Call
from app.settings import load
from app.store.webhooks.tables import webhook_events
from tests.runner.stage import Stage, Worker
from tests.runner.watched import Claims
from tests.store.aged import id_at, is_there
from tests.support.factories import POSTED, store_job
from tests.support.outbox import happen, listen, told

TOLERANCE = timedelta(seconds=5)
ON_POSTGRES = pytest.mark.parametrize("database_url", ["postgres"], indirect=True)


async def doubting(
    stage: Stage, *, database: bool = False, tolerance: timedelta = TOLERANCE
) -> Worker:
    """Start a process that compares its clock with the database's or TikTok's."""
    worker = await stage.worker()
    await stage.connect(worker, "proj_1")
    watch = ClockWatch(stage.clock.now, tolerance=tolerance)
    deps = worker.runner._deps
    if not database:
        deps = structs.replace(deps, tiktok_clock=watch)
        return _with(stage, worker, deps)
    claims = Claims(
        worker.container.database, lease=timedelta(seconds=300), watch=watch
    )
    claims.watch(stage.signals)
    deps = structs.replace(deps, claims=claims, database_clock=watch)
    return dataclasses.replace(_with(stage, worker, deps), claims=claims)


def _with(stage: Stage, worker: Worker, deps: object) -> Worker:
    runner = worker.runner
    made = stage.runner(deps, runner._rules, runner._capacity)  # type: ignore[arg-type]
    return dataclasses.replace(worker, runner=made)


@ON_POSTGRES
@pytest.mark.parametrize("seconds", [-3600, 600, 86_400 * 365])
async def test_a_worker_whose_clock_is_far_off_claims_nothing(
    stage: Stage, seconds: int
) -> None:
    """It says so loudly, and works again when the clocks agree."""
    worker = await doubting(stage, database=True)
    job = await stage.job(worker, scheduled_for=stage.clock.now())
    later = await stage.job(
        worker, scheduled_for=stage.clock.now() + timedelta(days=200)
    )
    stage.clock.go_on(timedelta(seconds=seconds))
    with capture_logs() as logs:
        report = await worker.tick()
    assert report.claimed == 0
    assert [each["log_level"] for each in logs].count("error") == 1
    assert (await worker.job(job)).claimed_by is None
    stage.clock.go_on(timedelta(seconds=-seconds))
    await worker.tick()
    assert (await worker.job(job)).status == "posted"
    assert (await worker.job(later)).status == "scheduled"


@ON_POSTGRES
async def test_within_tolerance_the_later_clock_decides(stage: Stage) -> None:
    """A few minutes ahead may be no reason to stop, and is none to post early."""
    worker = await doubting(stage, database=True, tolerance=timedelta(hours=1))
    stage.clock.go_on(timedelta(minutes=50))
    soon = await stage.job(worker, scheduled_for=stage.clock.now())
    due = await stage.job(worker, scheduled_for=stage.clock.now() - timedelta(hours=1))
    await worker.tick()
    assert (await worker.job(soon)).status == "scheduled"
    assert not stage.calls(Call.INIT, soon)
    assert (await worker.job(due)).status == "posted"


async def test_tiktoks_date_is_the_second_witness(stage: Stage) -> None:
    """If no other clock is compared, as on SQLite, a job waits and says `clock`."""
    worker = await doubting(stage)
    job = await stage.job(
        worker, scheduled_for=stage.clock.now() + timedelta(minutes=10)
    )
    stage.clock.go_on(timedelta(minutes=11))
    await worker.tick()
    held = await worker.job(job)
    assert (held.status, held.waiting_for, held.attempts) == ("scheduled", "clock", 0)
    assert not stage.calls(Call.INIT)
    assert held.next_attempt_at is not None
    assert held.next_attempt_at - stage.clock.now() <= timedelta(minutes=1)


async def test_post_now_does_not_wait_for_a_clock(stage: Stage) -> None:
    """An API that is ahead writes a time ahead: the wish is still "at once"."""
    worker = await doubting(stage)
    stage.clock.go_on(timedelta(minutes=11))
    job = await stage.job(worker, scheduled_for=None)
    await worker.tick()
    assert (await worker.job(job)).status == "posted"


async def test_a_late_job_does_not_wait_for_a_clock(stage: Stage) -> None:
    """By TikTok's clock too its time has come."""
    worker = await doubting(stage)
    job = await stage.job(worker)
    stage.clock.go_on(timedelta(minutes=11))
    await worker.tick()
    assert (await worker.job(job)).status == "posted"


@dataclasses.dataclass
class Shifted(SystemClock):
    """The machine's clock, set wrong."""

    ahead: timedelta

    def now(self) -> datetime:
        """Return the wrong time."""
        return super().now() + self.ahead


@ON_POSTGRES
@pytest.mark.parametrize(("ahead", "age", "left"), [(0, 31, 0), (40, 5, 1)])
async def test_nothing_is_deleted_by_a_clock_that_another_contradicts(
    database_url: str, ahead: int, age: int, left: int
) -> None:
    """Neither jobs nor frontends' events: either would be gone for good."""
    settings = load(
        _env_file=None,
        database_url=database_url,
        retention_days=30,
        token_encryption_keys="A" * 43 + "=",
    )
    aged = datetime.now(UTC) - timedelta(days=age)
    times = dict.fromkeys(("scheduled_for", "created_at", "updated_at"), aged)
    async with open_container(settings) as container:
        database = container.database
        await listen(database, "https://app.example.com/hook", now=aged)
        await happen(database, now=aged)
        done = {"status": EventStatus.DELIVERED, "next_attempt_at": None}
        async with database.write() as connection:
            await connection.execute(update(webhook_events).values(done))
        job = await store_job(database, POSTED, id=id_at(aged), **times)
        container.clock = Shifted(timedelta(days=ahead))
        await container._prune()
        assert len(await told(database)) == left
        assert await is_there(database, job) is bool(left)
