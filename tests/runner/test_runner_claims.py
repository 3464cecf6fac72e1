"""Claims that ran out: taken over and counted; their former workers do nothing more."""

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from app.domain.jobs.backoff import RetryPolicy
from app.domain.jobs.job import Job
from app.runner.attempts.attempt_state import ClaimLost
from app.runner.attempts.live_effects import LiveEffects
from app.runner.attempts.ways.live_pull import LivePull
from app.sandbox.recording import Call
from tests.runner.stage import Stage, Worker
from tests.store.claiming import RETRY, claim
from tests.support.factories import abandoned, store_row

LEASE = timedelta(seconds=300)
PAST_THE_LEASE = LEASE + timedelta(seconds=1)


async def left_behind(stage: Stage, worker: Worker, **columns: object) -> Job:
    """Store a job whose worker died while it held the claim."""
    now = stage.clock.now()
    began = {"claimed_at": now - LEASE, "attempt_started_at": now - LEASE}
    row = abandoned(**began, next_attempt_at=now - timedelta(seconds=1), **columns)
    return await store_row(worker.container.database, row)


async def test_an_abandoned_job_is_taken_over_and_counted(
    stage: Stage, worker: Worker
) -> None:
    """The dead worker's attempt stands in the ledger under its name."""
    job = await left_behind(stage, worker)
    report = await worker.tick()
    assert (report.claimed, report.reclaimed, report.posted) == (1, 1, 1)
    done = await worker.job(job)
    assert (done.status, done.attempts) == ("posted", 1)
    dead, alive = await worker.ledger(job)
    assert (dead.outcome, dead.worker) == ("abandoned", "worker_1")
    assert (alive.outcome, alive.number) == ("published", 2)
    assert alive.worker != "worker_1"


async def test_an_abandoned_publish_is_asked_for_again(
    stage: Stage, worker: Worker
) -> None:
    """Its id was written, so nothing is sent."""
    job = await stage.job(worker)
    stage.stuck(job)
    await stage.ticked(worker, lambda: stage.calls(Call.STATUS))
    publish_id = (await worker.job(job)).publish_id
    await claimed_and_left(stage, worker)
    stage.unstick(job)
    report = await worker.tick()
    assert (report.reclaimed, report.posted) == (1, 1)
    done = await worker.job(job)
    assert (done.publish_id, done.attempts) == (publish_id, 1)
    assert len(stage.calls(Call.INIT)) == 1


async def claimed_and_left(stage: Stage, worker: Worker) -> None:
    """Claim what is due as a process that dies at once."""
    claimed = await worker.claims.claim_due(
        now=stage.clock.now(),
        limit=9,
        worker="dead",
        retry=RetryPolicy(),
        random=lambda: 0.0,
    )
    assert claimed.jobs
    assert not claimed.taken_over
    stage.clock.go_on(PAST_THE_LEASE)


async def test_an_abandoned_init_of_unknown_fate_is_not_repeated(
    stage: Stage, worker: Worker
) -> None:
    """The stamp is all that is left: the job is held for a person."""
    sent = stage.clock.now() - LEASE
    job = await left_behind(stage, worker, init_sent_at=sent)
    report = await worker.tick()
    assert (report.claimed, report.reclaimed, report.failed) == (1, 1, 1)
    over = await worker.job(job)
    assert (over.failure_reason, over.attempts) == ("unconfirmed", 1)
    assert not stage.calls(Call.INIT)


async def test_the_last_attempt_may_be_an_abandoned_one(
    stage: Stage, worker: Worker
) -> None:
    """A job that kills its workers comes to an end."""
    job = await left_behind(stage, worker, attempts=4, max_attempts=5)
    report = await worker.tick()
    assert (report.claimed, report.reclaimed, report.failed) == (1, 1, 1)
    over = await worker.job(job)
    assert (over.failure_reason, over.attempts) == ("max_attempts", 5)


async def test_a_worker_that_stood_still_in_the_check_sends_nothing(
    stage: Stage, worker: Worker
) -> None:
    """It wakes up after another posted its job, and begins nothing more."""
    zombie, other = await stage.worker(), worker
    job = await stage.job(worker)

    async def stand_still() -> None:
        stage.clock.go_on(PAST_THE_LEASE)
        assert (await other.tick()).posted == 1

    zombie.tiktok.after["creator_info"] = stand_still
    report = await zombie.tick(budget=400)
    assert (report.claimed, report.posted, report.in_flight) == (1, 0, 0)
    assert (await worker.job(job)).status == "posted"
    assert [it.outcome for it in await worker.ledger(job)] == ["abandoned", "published"]
    assert len(stage.calls(Call.INIT)) == 1


async def test_a_worker_that_stood_still_before_its_stamp_sends_nothing(
    stage: Stage, worker: Worker
) -> None:
    """The write itself finds the claim gone."""
    zombie, other = await stage.worker(), worker
    job = await stage.job(worker)

    async def stand_still() -> None:
        stage.clock.go_on(PAST_THE_LEASE)
        assert (await other.tick()).posted == 1

    zombie.claims.before["stamp_init"] = stand_still
    await zombie.tick(budget=400)
    assert (await worker.job(job)).status == "posted"
    assert len(stage.calls(Call.INIT)) == 1
    assert [it.outcome for it in await worker.ledger(job)] == ["abandoned", "published"]


async def test_a_worker_that_stood_still_after_its_stamp_sends_nothing(
    stage: Stage, worker: Worker
) -> None:
    """The lease ran out between stamp and send: the stamp is taken back."""
    job = await stage.job(worker)
    worker.claims.after["stamp_init"] = lambda: stage.clock.go_on(PAST_THE_LEASE)
    await worker.tick(budget=400)
    back = await worker.job(job)
    assert (back.in_flight, back.attempts, back.claim_token) == (False, 0, None)
    assert not stage.calls(Call.INIT)
    worker.claims.after.clear()
    await worker.tick()
    assert (await worker.job(job)).status == "posted"
    assert len(stage.calls(Call.INIT)) == 1


async def test_no_init_leaves_after_the_lease(stage: Stage, worker: Worker) -> None:
    """The last look at the clock is right before the call."""
    deps = worker.runner._deps
    job = await stage.job(worker)
    lease_until = stage.clock.now() + timedelta(seconds=10)
    effects = LiveEffects(deps, claimed(job, lease_until), until=None)
    access = await effects.access(job)
    stage.clock.go_to(lease_until)
    async with effects.connected() as effects.calls:
        with pytest.raises(ClaimLost):
            await LivePull(effects, deps).init(access, job)  # type: ignore[arg-type]
    assert not stage.calls(Call.INIT)


def claimed(job: Job, lease_until: datetime) -> Job:
    """Return the job as a claim hands it out."""
    return replace(job, next_attempt_at=lease_until, claim_token="token")


async def test_a_late_outcome_is_dropped(stage: Stage, worker: Worker) -> None:
    """Two workers saw TikTok finish; the one that owns the job writes it."""
    zombie, other = await stage.worker(), worker
    job = await stage.job(worker)
    left: list[object] = []

    async def stand_still() -> None:
        stage.clock.go_on(PAST_THE_LEASE)
        assert (await other.tick()).posted == 1
        left.extend([await worker.job(job), await worker.ledger(job)])

    zombie.tiktok.after["status"] = stand_still
    report = await zombie.tick(budget=400)
    assert (report.claimed, report.posted, report.in_flight) == (1, 0, 0)
    assert [await worker.job(job), await worker.ledger(job)] == left
    assert [it.outcome for it in await worker.ledger(job)] == ["abandoned", "published"]
    assert len(stage.calls(Call.INIT)) == 1


@pytest.mark.parametrize(
    ("call", "gone_on"),
    [("creator_info", False), ("init", True), ("status", True)],
)
async def test_a_late_worker_leaves_the_present_owner_alone(
    stage: Stage, worker: Worker, call: str, gone_on: bool
) -> None:
    """A worker that wakes up late takes nothing from the job's new worker."""
    zombie, owner = await stage.worker(unconfirmed_init="retry"), worker
    job = await stage.job(worker)
    owned: list[Job] = []

    async def stand_still() -> None:
        stage.clock.go_on(PAST_THE_LEASE)
        now = stage.clock.now()
        claimed = await claim(owner.claims, now=now, worker="owner", policy=RETRY)
        owned.extend(claimed.jobs)

    zombie.tiktok.after[call] = stand_still
    report = await zombie.tick(budget=400)
    assert (report.claimed, report.posted, report.in_flight) == (1, 0, 0)
    assert owned == [await worker.job(job)]
    assert owned[0].claimed_by == "owner"
    assert bool(stage.calls(Call.INIT)) == gone_on


async def test_a_late_publish_id_is_dropped(stage: Stage, worker: Worker) -> None:
    """The job was judged unconfirmed meanwhile; nothing else is written over that."""
    zombie, other = await stage.worker(), worker
    job = await stage.job(worker)

    async def stand_still() -> None:
        stage.clock.go_on(PAST_THE_LEASE)
        assert (await other.tick()).failed == 1

    zombie.claims.before["save_publish_id"] = stand_still
    await zombie.tick(budget=400)
    over = await worker.job(job)
    assert (over.failure_reason, over.publish_id) == ("unconfirmed", None)
    assert not stage.calls(Call.STATUS)
    assert len(stage.calls(Call.INIT)) == 1
