"""What TikTok said after an init outlives any refusal of the database, and any stop."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from app.domain.jobs.job import Job
from app.sandbox.recording import Call
from tests.runner.stage import Stage, Worker
from tests.support.sql import execute

RAISING = (
    """CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'not today'; END $$""",
    """CREATE TRIGGER no BEFORE UPDATE ON schedule_jobs FOR EACH STATEMENT
    EXECUTE FUNCTION no()""",
)
REFUSALS = {
    "P0001": (RAISING, ["DROP FUNCTION no() CASCADE"]),
    "42P01": (
        ["ALTER TABLE schedule_jobs RENAME TO elsewhere"],
        ["ALTER TABLE elsewhere RENAME TO schedule_jobs"],
    ),
}


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """Give a directory for what cannot be written."""
    directory = tmp_path / "spool"
    directory.mkdir()
    return directory


@pytest.mark.parametrize("state", REFUSALS)
@pytest.mark.parametrize("write", ["save_publish_id", "apply"])
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_a_refusal_after_an_init_is_waited_out(
    stage: Stage, worker: Worker, write: str, state: str
) -> None:
    """For any reason of the server's: there is time, and an operator may mend it."""
    refuse, permit = REFUSALS[state]
    job, tries = await stage.job(worker), 0

    async def change_the_server() -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            await _run(stage, refuse)
        if tries == 3:
            await _run(stage, permit)

    worker.claims.before[write] = change_the_server
    await worker.tick()
    assert tries == 3
    done = await worker.job(job)
    assert (done.status, done.attempts) == ("posted", 0)
    assert len(stage.calls(Call.INIT)) == 1


async def test_an_id_that_a_stop_left_unwritten_is_handed_in_by_the_next(
    stage: Stage, spool: Path
) -> None:
    """Its file is sealed, and gone once the table has the id."""
    first = await _worker(stage, spool)
    job = await _stopped_after_init(stage, first)
    (file,) = spool.iterdir()
    (init,) = stage.calls(Call.INIT)
    assert str(init.publish_id) not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    second = await stage.worker(spool_dir=spool)
    await second.container.hand_in_if_possible()
    assert (await second.job(job)).publish_id == init.publish_id
    assert not list(spool.iterdir())
    stage.clock.go_on(timedelta(seconds=400))
    await second.tick()
    assert (await second.job(job)).status == "posted"
    assert len(stage.calls(Call.INIT)) == 1


async def test_an_id_that_comes_after_the_judgement_corrects_it(
    stage: Stage, spool: Path
) -> None:
    """Another machine took the job over and held it as unconfirmed meanwhile."""
    first = await _worker(stage, spool)
    job = await _stopped_after_init(stage, first)
    stage.clock.go_on(timedelta(seconds=400))
    elsewhere = await stage.worker(spool_dir=spool / "elsewhere")
    await elsewhere.tick()
    assert (await elsewhere.job(job)).failure_reason == "unconfirmed"
    second = await stage.worker(spool_dir=spool)
    assert await second.container.hand_in() == 1
    await second.container.confirmer.run_due(limit=10)
    assert (await second.job(job)).status == "posted"
    assert len(stage.calls(Call.INIT)) == 1


async def test_an_id_that_comes_when_the_claim_is_lost_corrects_the_judgement(
    stage: Stage, spool: Path
) -> None:
    """A worker stood still for longer than its lease, in the middle of its init."""
    slow = await _worker(stage, spool)
    other = await stage.worker(spool_dir=spool / "elsewhere")
    job = await stage.job(slow)

    async def stand_still() -> None:
        slow.claims.before.clear()
        stage.clock.go_on(timedelta(seconds=400))
        await other.tick()

    slow.claims.before["save_publish_id"] = stand_still
    await slow.tick()
    assert (await slow.job(job)).failure_reason == "unconfirmed"
    assert await slow.container.hand_in() == 1
    await slow.container.confirmer.run_due(limit=10)
    assert (await slow.job(job)).status == "posted"
    assert len(stage.calls(Call.INIT)) == 1
    assert not list(spool.iterdir())


async def test_an_id_of_a_former_init_is_no_news(stage: Stage, spool: Path) -> None:
    """A person sent the post again: the newer publish keeps its row."""
    first = await _worker(stage, spool)
    job = await _stopped_after_init(stage, first)
    stage.clock.go_on(timedelta(seconds=400))
    other = await stage.worker()
    await other.tick()
    await other.container.jobs.retry(
        job.id, now=stage.clock.now(), accept_duplicate_risk=True
    )
    await other.tick()
    again = await other.job(job)
    second = await stage.worker(spool_dir=spool)
    assert await second.container.hand_in() == 0
    assert await second.job(job) == again
    assert not list(spool.iterdir())


async def test_a_file_of_an_unknown_job_stays(stage: Stage, spool: Path) -> None:
    """Another installation may share the directory and the keys."""
    first = await _worker(stage, spool)
    await _stopped_after_init(stage, first)
    (file,) = spool.iterdir()
    kept = first.container.spool.kept()[0][1]
    first.container.spool.keep(replace(kept, job_id="another"))
    file.unlink()
    second = await stage.worker(spool_dir=spool)
    assert await second.container.hand_in() == 0
    assert len(list(spool.iterdir())) == 1


async def _worker(stage: Stage, directory: Path) -> Worker:
    worker = await stage.worker(spool_dir=directory)
    await stage.connect(worker, "proj_1")
    return worker


async def _stopped_after_init(stage: Stage, worker: Worker) -> Job:
    """Take the database away at an init's answer, and let the worker's stop run out."""
    job, stop = await stage.job(worker), asyncio.Event()
    worker.claims.away["save_publish_id"] = 10**6

    async def stop_and_wait() -> None:
        stop.set()
        stage.clock.go_on(timedelta(seconds=3))

    worker.claims.before["save_publish_id"] = stop_and_wait
    await worker.runner.run(stop)
    return job


async def _run(stage: Stage, statements: Sequence[str]) -> None:
    await execute(stage.database_url, *statements)
