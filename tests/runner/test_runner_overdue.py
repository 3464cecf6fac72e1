"""An attempt that outlives its lease keeps its job from the runner it belongs to."""

from datetime import timedelta

import pytest

from app.runner.attempts.live_effects import LONGEST_OVERDUE
from app.sandbox.recording import Call
from tests.runner.stage import Stage, Worker

# With the id written and its time up, an attempt hands the job on, to be followed anew.
WRITES = {"save_publish_id": 2, "apply": 1}


@pytest.mark.parametrize(("write", "ends"), WRITES.items())
async def test_what_an_attempt_knows_is_written_before_its_job_is_claimed_again(
    stage: Stage, worker: Worker, write: str, ends: int
) -> None:
    """An outage longer than the lease: TikTok's id is in memory, and not lost."""
    job = await stage.job(worker)
    worker.claims.away[write] = 6

    async def lease_ends() -> None:
        if worker.claims.done.count(f"{write} failed") == 2:
            stage.clock.go_on(timedelta(seconds=301))

    worker.claims.before[write] = lease_ends
    async with stage.running(worker):
        await stage.signals.until(lambda: worker.claims.done.count("apply") == ends)
    done = await worker.job(job)
    assert (done.status, done.attempts) == ("posted", 0)
    assert len(stage.calls(Call.INIT)) == 1
    assert len(await worker.ledger(job)) == 1


async def test_a_stuck_attempt_keeps_its_runner_for_a_while_only(
    stage: Stage, worker: Worker
) -> None:
    """Half a minute after its lease the job is claimed again."""
    job = await stage.job(worker)

    async def stuck() -> None:
        del worker.claims.before["stamp_init"]
        stage.clock.go_on(timedelta(seconds=300) + LONGEST_OVERDUE)
        await stage.signals.until(lambda: "stamp_init" in worker.claims.done)

    worker.claims.before["stamp_init"] = stuck
    async with stage.running(worker):
        await stage.signals.until(lambda: "apply" in worker.claims.done)
    done = await worker.job(job)
    assert (done.status, done.attempts) == ("posted", 1)
    assert len(stage.calls(Call.INIT)) == 1
