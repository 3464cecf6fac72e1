"""The database fails over: what it lost is put back or held, and none goes twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from app.container import MOST_LAG
from app.domain.codes import FAILED_OVER, RESTORED
from app.domain.errors import NotFound, StoreUnavailable
from app.domain.jobs.history import HistoryKind
from app.domain.jobs.job import FailureReason
from app.grants.grants import Access
from app.runner.failover import LIVED_WITHIN, Patience
from app.sandbox.recording import Call
from app.service.operations.health import Check, DatabaseState
from app.store.jobs.history import read_history
from tests.runner.stage import Stage, Worker, staged
from tests.support.failing_over import Pair, paired
from tests.support.relay import Relay, relaying

AT_ONCE = Patience(least=timedelta(0), most=timedelta(0))
LATER = timedelta(minutes=1)


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    """Give a primary and its asynchronous standby."""
    async with paired() as pair:
        yield pair


@pytest.fixture
async def stage(pair: Pair) -> AsyncIterator[Stage]:
    """Give a stage on both."""
    async with staged(pair.url) as stage:
        yield stage


@pytest.fixture
async def worker(stage: Stage) -> Worker:
    """Give a worker that is known to run, with a connected account."""
    worker = await started(stage)
    await stage.connect(worker, "proj_1")
    return worker


async def started(stage: Stage, **settings: object) -> Worker:
    """Start a worker that waits for no other, and say that it lives."""
    worker = await stage.worker(**settings)
    worker.container.failover._patience = AT_ONCE
    await worker.container.failover.beat(now=stage.clock.now())
    return worker


async def looks(worker: Worker) -> bool:
    """Let a worker meet whoever answers; tell whether it would claim."""
    await worker.container.runners.on_servers()
    return await worker.container.failover.ready()


async def test_a_start_is_no_fail_over(stage: Stage) -> None:
    """Two that meet the database for the first time at once tell of no other server."""
    failover = (await stage.worker()).container.failover
    with capture_logs() as logs:
        assert all(await asyncio.gather(failover.ready(), failover.ready()))
    assert not [each for each in logs if each["log_level"] == "warning"]


async def test_what_was_sent_in_the_gap_is_not_sent_again(
    pair: Pair, stage: Stage, worker: Worker
) -> None:
    """Who sent it puts it back: claim, init, publish_id, end and ledger."""
    job = await stage.job(worker)
    await pair.lag()
    await worker.tick()
    await pair.fail_over()
    await worker.tick()
    done = await worker.job(job)
    assert (done.status, done.attempts) == ("posted", 0)
    assert len(stage.calls(Call.INIT)) == 1
    assert [entry.outcome for entry in await worker.ledger(job)] == ["published"]


async def test_a_job_made_in_the_gap_comes_back_with_its_post(
    pair: Pair, stage: Stage, worker: Worker
) -> None:
    """Its caller was told that it is stored: it is, again."""
    await pair.lag()
    job = await stage.job(worker)
    await worker.tick()
    await pair.fail_over()
    await worker.tick()
    assert (await worker.job(job)).status == "posted"
    assert len(stage.calls(Call.INIT)) == 1


@pytest.mark.parametrize("lost", ["claim_due", "stamp_init"])
async def test_an_attempt_goes_on_through_a_fail_over(
    pair: Pair, stage: Stage, worker: Worker, lost: str
) -> None:
    """The init is out, and its stamp or the whole claim is lost: its id is not."""
    other = await started(stage)
    job = await stage.job(worker)

    async def cut() -> None:
        worker.claims.before.clear()
        await pair.lag()

    async def fail_over() -> None:
        worker.tiktok.after.clear()
        await pair.fail_over()
        await other.tick()

    worker.claims.before[lost] = cut
    worker.tiktok.after["init"] = fail_over
    await worker.tick()
    await worker.tick()
    done = await worker.job(job)
    assert (done.status, done.failure_reason) == ("posted", None)
    assert len(stage.calls(Call.INIT)) == 1


async def test_a_pair_that_was_refreshed_in_the_gap_comes_back(
    pair: Pair, stage: Stage, worker: Worker
) -> None:
    """TikTok has ended the former one: with it the account would be lost."""
    job = await stage.job(worker)
    await pair.lag()
    await refreshed(worker)
    fresh = await refreshed(worker)
    await pair.fail_over()
    assert await looks(worker)
    account = await worker.container.accounts.get("proj_1", "tiktok")
    assert account.grant.access_token == fresh
    assert account.usable
    await worker.tick()
    assert (await worker.job(job)).status == "posted"


async def test_a_pair_is_never_put_over_a_newer_one(
    pair: Pair, stage: Stage, worker: Worker
) -> None:
    """Somebody signs in on the new server before the pair is put back."""
    await pair.lag()
    await refreshed(worker)
    await refreshed(worker)
    await pair.fail_over()
    await stage.connect(worker, "proj_1")
    newer = await worker.container.accounts.get("proj_1", "tiktok")
    assert await looks(worker)
    assert await worker.container.accounts.get("proj_1", "tiktok") == newer


async def test_no_pair_is_refreshed_before_the_gap_is_closed(
    pair: Pair, stage: Stage, worker: Worker
) -> None:
    """The one that the new server knows may be ended: TikTok would refuse it."""
    other = await started(stage)
    other.container.failover._patience = Patience()
    await pair.lag()
    fresh = await refreshed(worker)
    await pair.fail_over()
    stage.clock.go_on(timedelta(days=31))  # any pair is to be renewed by now
    before = len(stage.calls(Call.TOKEN))
    assert not await looks(other)
    await other.container._refresh()
    assert len(stage.calls(Call.TOKEN)) == before
    assert await looks(worker)
    await other.container._refresh()
    account = await other.container.accounts.get("proj_1", "tiktok")
    assert account.usable
    assert account.grant.access_token != fresh


async def refreshed(worker: Worker) -> str:
    """Let a worker trade the pair of the first project; return the new token."""
    grants = worker.container.grants
    access = await grants.current("proj_1", "tiktok")
    assert isinstance(access, Access)
    fresh = await grants.renew(access)
    assert isinstance(fresh, Access)
    return fresh.token


async def test_what_a_dead_worker_may_have_sent_is_held(
    pair: Pair, stage: Stage, worker: Worker
) -> None:
    """Nobody can tell: it needs a person or a proof, and says why."""
    job, later = await stage.job(worker), stage.clock.now() + LATER
    other = await stage.job(worker, scheduled_for=later)
    await pair.lag()
    await worker.tick()
    await pair.fail_over()
    successor = await started(stage)
    await successor.tick()
    held = await successor.job(job)
    assert held.failure_reason is FailureReason.UNCONFIRMED
    assert held.last_error is not None
    assert held.last_error.code == FAILED_OVER
    assert held.confirm_at is not None
    async with successor.container.database.read() as connection:
        story = await read_history(connection, job.id)
    assert [each.kind for each in story] == [HistoryKind.FAILED_OVER]
    stage.clock.go_to(later)
    await successor.tick()
    assert (await successor.job(other)).status == "posted"
    assert [len(stage.calls(Call.INIT, each)) for each in (job, other)] == [1, 1]


async def test_a_dead_worker_whose_clock_was_behind_is_no_stranger(
    pair: Pair, stage: Stage, worker: Worker
) -> None:
    """By its own time it was last seen too long ago to have lived in the gap."""
    job, behind = await stage.job(worker), timedelta(seconds=50)
    await worker.container.failover.beat(now=stage.clock.now() - LIVED_WITHIN - behind)
    await pair.lag()
    await worker.tick()
    await pair.fail_over()
    successor = await started(stage, clock_tolerance_seconds=60)
    await successor.tick()
    assert (await successor.job(job)).failure_reason is FailureReason.UNCONFIRMED
    assert len(stage.calls(Call.INIT)) == 1


async def test_what_a_dead_worker_had_claimed_is_held(
    pair: Pair, stage: Stage, worker: Worker
) -> None:
    """The claim was replicated, the stamp that came after it was not."""
    job = await stage.job(worker)
    worker.claims.before["stamp_init"] = pair.lag
    await worker.tick()
    await pair.fail_over()
    successor = await started(stage)
    await successor.tick()
    stage.clock.go_on(timedelta(seconds=301))  # the lease is over
    await successor.tick()
    assert (await successor.job(job)).failure_reason is FailureReason.UNCONFIRMED
    assert len(stage.calls(Call.INIT, job)) == 1


async def test_nothing_is_held_for_a_worker_that_ended_in_order(
    pair: Pair, stage: Stage, worker: Worker
) -> None:
    """That it ended is replicated, and so is all that it did before."""
    job = await stage.job(worker, scheduled_for=stage.clock.now() + LATER)
    await worker.container.failover.sign_off()
    await pair.lag()
    stage.clock.go_to(job.scheduled_for)
    await pair.fail_over()
    successor = await started(stage)
    await successor.tick()
    assert (await successor.job(job)).status == "posted"


async def test_who_ended_within_the_gap_tells_nobody_what_it_sent(
    pair: Pair, stage: Stage, worker: Worker
) -> None:
    """Its goodbye is lost as well, and the one that took its place saw nothing."""
    job = await stage.job(worker)
    await pair.lag()
    await worker.tick()
    await worker.container.failover.sign_off()
    successor = await started(stage)
    await pair.fail_over()
    await successor.tick()
    assert (await successor.job(job)).failure_reason is FailureReason.UNCONFIRMED
    assert len(stage.calls(Call.INIT)) == 1


async def test_the_only_worker_waits_for_nobody(
    pair: Pair, stage: Stage, worker: Worker
) -> None:
    """And the new server, started once more, cannot tell when the gap began."""
    job = await stage.job(worker)
    await pair.lag()
    await worker.tick()
    await pair.fail_over()
    await asyncio.to_thread(pair.standby.restart)
    assert await looks(worker)
    await worker.tick()
    assert (await worker.job(job)).status == "posted"
    assert len(stage.calls(Call.INIT)) == 1


async def test_a_witness_that_comes_late_ends_the_doubt(
    pair: Pair, stage: Stage, worker: Worker
) -> None:
    """It was cut off for so long that it was taken for dead."""
    job = await stage.job(worker)
    await pair.lag()
    await worker.tick()
    await pair.fail_over()
    successor = await started(stage)
    await successor.tick()
    assert (await successor.job(job)).failure_reason is FailureReason.UNCONFIRMED
    await worker.tick()
    assert (await successor.job(job)).status == "posted"
    assert len(stage.calls(Call.INIT)) == 1


async def test_claims_wait_for_a_witness_that_is_expected(
    pair: Pair, stage: Stage, worker: Worker
) -> None:
    """Another worker is there first, and claims nothing until the gap is closed."""
    other = await started(stage)
    other.container.failover._patience = Patience()
    job = await stage.job(worker)
    await pair.lag()
    await worker.tick()
    await pair.fail_over()
    assert not await looks(other)
    assert (await other.job(job)).status == "scheduled"
    await worker.tick()
    assert await looks(other)
    assert (await other.job(job)).status == "posted"
    assert len(stage.calls(Call.INIT)) == 1


@asynccontextmanager
async def relayed(pair: Pair) -> AsyncIterator[tuple[Stage, Relay]]:
    """Open a stage whose database is one address, which leads to the primary."""
    async with relaying(pair.primary.port) as relay:
        url = f"postgresql://postgres@127.0.0.1:{relay.port}/postgres"
        async with staged(url) as stage:
            yield stage, relay


async def test_an_address_that_leads_elsewhere_is_noticed(pair: Pair) -> None:
    """A relay or a name in front of both: sessions are cut, and others opened."""
    async with relayed(pair) as (stage, relay):
        worker = await started(stage)
        await stage.connect(worker, "proj_1")
        job = await stage.job(worker)
        await pair.lag()
        await worker.tick()
        await pair.fail_over()
        await relay.lead_to(pair.standby.port)
        await worker.tick()
        assert (await worker.job(job)).status == "posted"
        assert len(stage.calls(Call.INIT)) == 1


async def test_nothing_is_written_to_a_server_that_was_replaced(pair: Pair) -> None:
    """Split brain: who has met the new one does not go back to the former."""
    async with relayed(pair) as (stage, relay):
        worker = await started(stage)
        await stage.connect(worker, "proj_1")
        job = await stage.job(worker)
        await pair.lag()
        await pair.promote()
        await relay.lead_to(pair.standby.port)
        assert await looks(worker)
        await relay.lead_to(pair.primary.port)
        with capture_logs() as logs, pytest.raises(StoreUnavailable):
            await worker.tick()
        assert "split brain" in " ".join(each["event"] for each in logs)
        assert not stage.calls(Call.INIT)
        health = await worker.container.health.check()
        assert health.state is DatabaseState.DATABASE_REPLACED
        assert health.checks.database is Check.REPLACED
        await relay.lead_to(pair.standby.port)
        async with stage.running(worker):
            await stage.signals.until(lambda: "apply" in worker.claims.done)
        assert (await worker.job(job)).status == "posted"
        assert len(stage.calls(Call.INIT)) == 1


async def test_sessions_with_a_replaced_server_are_ended(pair: Pair) -> None:
    """They are still good, as the former server is: nothing must go that way."""
    async with relayed(pair) as (stage, relay):
        worker = await started(stage)
        sessions = worker.container.database.sessions
        assert sessions is not None
        (former,) = sessions.open
        await pair.promote()
        await relay.lead_to(pair.standby.port, cut=False)
        newer = await sessions.connect()
        assert former.is_closed()
        assert not newer.is_closed()


async def test_a_planned_switch_over_costs_nothing(
    pair: Pair, stage: Stage, worker: Worker
) -> None:
    """Everything is replicated: nothing is put back, nothing is held."""
    done, later = await stage.job(worker), stage.clock.now() + LATER
    job = await stage.job(worker, scheduled_for=later)
    await worker.tick()
    await asyncio.to_thread(pair.primary.stop)
    await pair.promote()
    stage.clock.go_to(later)
    with capture_logs() as logs:
        await worker.tick()
    assert not [each for each in logs if each["event"].startswith("put back")]
    assert [(await worker.job(each)).status for each in (done, job)] == ["posted"] * 2
    assert len(stage.calls(Call.INIT)) == 2


async def test_with_a_synchronous_standby_nothing_is_lost() -> None:
    """Nothing has to be put back."""
    async with paired(synchronous=True) as pair, staged(pair.url) as stage:
        worker = await started(stage)
        await stage.connect(worker, "proj_1")
        job = await stage.job(worker)
        await worker.tick()
        await pair.fail_over()
        with capture_logs() as logs:
            await worker.tick()
        assert not [each for each in logs if "job_id" in each]
        assert (await worker.job(job)).status == "posted"
        assert len(stage.calls(Call.INIT)) == 1


async def known_here(stage: Stage, worker: Worker) -> None:
    """Let a worker write that it lives, into the database and beside it."""
    if not await worker.container.keys.list():
        await worker.container.keys.add(
            name="key", project_id=None, secret_sha256="", now=stage.clock.now()
        )
    await worker.container._say_alive()


@pytest.mark.parametrize("survives", [True, False])
async def test_a_fail_over_is_no_restored_backup(
    pair: Pair, stage: Stage, worker: Worker, *, survives: bool
) -> None:
    """A process that starts on the new server finds a heartbeat lost, and holds on."""
    await known_here(stage, worker)
    await pair.lag()
    stage.clock.go_on(MOST_LAG / 2)
    await known_here(stage, worker)
    await pair.fail_over()
    if survives:
        assert await looks(worker)
    successor = await stage.worker()
    await successor.container.ready()
    with pytest.raises(NotFound):
        await successor.container.holds.get(None, now=stage.clock.now())


@pytest.mark.parametrize("announced", [True, False])
async def test_a_restored_backup_is_no_fail_over(
    pair: Pair, stage: Stage, worker: Worker, *, announced: bool
) -> None:
    """Restored to a point in time: a timeline begins, and far more than a lag is lost.

    What falls due after it waits for the release, and was sent by nobody.
    """
    job = await stage.job(worker)
    later = await stage.job(worker, scheduled_for=stage.clock.now() + 3 * MOST_LAG)
    await known_here(stage, worker)
    await pair.lag()
    await worker.tick()
    stage.clock.go_on(2 * MOST_LAG)
    await known_here(stage, worker)
    await pair.fail_over()
    successor = await stage.worker()
    if announced:
        await successor.container.restore.hold()
    stage.clock.go_to(later.scheduled_for)
    await successor.container.ready()
    await successor.tick()
    held = await successor.job(job)
    assert held.last_error is not None
    assert (held.failure_reason, held.last_error.code) == ("unconfirmed", RESTORED)
    if announced:
        assert (await successor.job(later)).status == "scheduled"
        await successor.container.holds.delete(None, now=stage.clock.now())
        stage.clock.go_on(LATER)
        await successor.tick()
        assert (await successor.job(later)).status == "posted"
    assert len(stage.calls(Call.INIT, job)) == 1
