"""After an outage everybody's late posts go out: nobody's backlog holds others up."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from app.domain.jobs.job import Job, JobStatus, WaitingFor
from app.sandbox.recording import Call, Record
from tests.runner.stage import Stage, Worker

BACKLOG: Final = 60
OTHERS: Final = 12
A_MINUTE: Final = 6
SLOTS: Final = 8


async def read(worker: Worker, jobs: Sequence[Job]) -> list[Job]:
    """Read jobs as they are now."""
    return [await worker.job(job) for job in jobs]


def watch(stage: Stage) -> list[tuple[datetime, str]]:
    """Note when each init comes in by the stage's clock, and its title."""
    sent: list[tuple[datetime, str]] = []
    calls = stage.tiktok.sandbox.calls
    add = calls.add

    def noted(record: Record) -> None:
        if record.call is Call.INIT:
            sent.append((stage.clock.now(), record.title or ""))
        add(record)

    calls.add = noted  # type: ignore[method-assign]
    return sent


async def test_a_backlog_is_paced_and_holds_nobody_up(stage: Stage) -> None:
    """One account has missed a day, and more than there are slots; others one post.

    Theirs fell due later than all of the backlog, and go out in the same tick; of the
    backlog as much goes out as TikTok takes in a minute, at no attempt for the rest.
    """
    worker = await stage.worker(
        max_in_flight=SLOTS, claim_batch_size=SLOTS, tiktok_init_per_minute=A_MINUTE
    )
    now = stage.clock.now()
    await stage.connect(worker, "busy")
    backlog = [
        await stage.job(
            worker,
            project_id="busy",
            scheduled_for=now - timedelta(days=1) + timedelta(minutes=n),
        )
        for n in range(BACKLOG)
    ]
    others = []
    for n in range(OTHERS):
        await stage.connect(worker, f"other_{n}")
        others.append(await stage.job(worker, project_id=f"other_{n}"))

    await worker.tick()

    for job in others:
        assert (await worker.job(job)).status is JobStatus.POSTED
    after = [await worker.job(job) for job in backlog]
    posted = [job for job in after if job.status is JobStatus.POSTED]
    assert len(posted) == A_MINUTE
    assert len(stage.calls(Call.INIT)) == A_MINUTE + OTHERS
    left = [job for job in after if job.status is not JobStatus.POSTED]
    assert {(job.status, job.attempts, job.waiting_for) for job in left} == {
        (JobStatus.SCHEDULED, 0, WaitingFor.QUOTA)
    }


async def test_a_backlog_goes_out_minute_by_minute_oldest_first(stage: Stage) -> None:
    """Never more than a minute takes, and in the order of its times."""
    worker = await stage.worker(tiktok_init_per_minute=A_MINUTE)
    await stage.connect(worker, "proj_1")
    now = stage.clock.now()
    sent = watch(stage)
    backlog = [
        await stage.job(worker, scheduled_for=now - timedelta(minutes=60 - n))
        for n in range(3 * A_MINUTE)
    ]
    minute = timedelta(minutes=1)
    while any(
        job.status is not JobStatus.POSTED for job in await read(worker, backlog)
    ):
        await worker.tick()
        stage.clock.go_on(minute / 4)
    times = sorted(at for at, _ in sent)
    for first, seventh in zip(times, times[A_MINUTE:], strict=False):
        assert seventh - first >= minute
    order = [job.asset_id for job in backlog]
    for place, (_, title) in enumerate(sent):  # those of one minute go out together
        assert abs(order.index(title) - place) < A_MINUTE
