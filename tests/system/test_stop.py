"""Told to stop, a program gives its jobs back and leaves; the next one goes on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
import pytest

from app.domain.jobs.job import Job, JobStatus
from app.sandbox.recording import Call
from app.store.tables import metadata
from tests.support.patience import PATIENCE_SECONDS
from tests.support.relay import relaying
from tests.system.programs import Program, until
from tests.system.site import CRON_SECRET, Site, key_of

WITHIN = 60.0
"""Seconds: ten are promised. Whoever waits for the database waits for minutes."""


async def worker(site: Site) -> Program:
    """Start a worker and wait until it works."""
    program = await site.programs.start("worker")
    await program.says("worker started")
    return program


def let_tiktok_finish(site: Site) -> None:
    """Publish what is stuck."""
    for post in site.tiktok.sandbox.posts:
        post.status = post.status.PUBLISH_COMPLETE
        post.published_at = site.tiktok.sandbox.now()


async def let_the_lease_end(site: Site, job: Job) -> None:
    """Put a claim back by its lease, as if that time had passed."""
    lease = timedelta(seconds=float(site.programs.env["CLAIM_TIMEOUT_SECONDS"]))
    assert job.claimed_at is not None
    assert job.next_attempt_at == job.claimed_at + lease
    table = metadata.tables["schedule_jobs"]
    earlier = {"claimed_at": job.claimed_at - lease, "next_attempt_at": job.claimed_at}
    async with site.container.database.write() as connection:
        await connection.execute(
            table.update().where(table.c.id == job.id).values(**earlier)
        )


async def assert_posted_once(site: Site, job_id: str) -> None:
    """Look at the job, its ledger, and what TikTok has of it."""
    job = await site.ended(await site.container.jobs.get(job_id))
    assert (job.status, job.attempts) == (JobStatus.POSTED, 0)
    assert len(site.calls(Call.INIT)) == 1
    assert site.published == 1
    assert len(await site.container.jobs.attempts(job_id)) == 1


async def test_sigterm_in_mid_poll_hands_the_job_to_another_worker(site: Site) -> None:
    """It leaves with 0 at once; the job goes on elsewhere and costs no attempt."""
    site.script("init", fault={"kind": "processing", "stuck": True})
    first = await worker(site)
    job = await site.post()
    await site.called(Call.STATUS, times=2)
    second = await worker(site)
    ended = await first.stop()
    assert (ended.code, ended.out) == (0, "")
    given_back = await site.container.jobs.get(job.id)
    assert given_back.attempts == 0
    asked = len(site.calls(Call.STATUS))
    await site.called(Call.STATUS, times=asked + 1)
    let_tiktok_finish(site)
    await assert_posted_once(site, job.id)
    ended = await second.stop()
    assert ended.code == 0


async def test_sigterm_in_mid_init_waits_for_the_answer(site: Site) -> None:
    """Only that tells whether TikTok took the post, so it is written before the end."""
    site.script("init", fault={"kind": "slow", "seconds": 1.0})
    first = await worker(site)
    job = await site.post()
    await site.called(Call.INIT)
    ended = await first.stop()
    assert ended.code == 0
    given_back = await site.container.jobs.get(job.id)
    assert given_back.claim_token is None
    assert given_back.publish_id is not None
    assert (await site.programs.run("tick")).code == 0
    await assert_posted_once(site, job.id)


async def test_sigkill_in_mid_poll_is_made_good_after_the_lease(site: Site) -> None:
    """The next worker asks for the same publish_id and sends no second init."""
    site.script("init", fault={"kind": "processing", "stuck": True})
    first = await worker(site)
    job = await site.post()
    await site.called(Call.STATUS)
    await first.kill()
    let_tiktok_finish(site)
    left = await site.container.jobs.get(job.id)
    assert left.claim_token is not None
    await let_the_lease_end(site, left)
    await worker(site)
    ended = await site.ended(job)
    assert (ended.status, ended.attempts) == (JobStatus.POSTED, 1)
    assert (len(site.calls(Call.INIT)), site.published) == (1, 1)
    ledger = await site.container.jobs.attempts(job.id)
    assert [entry.outcome for entry in ledger] == ["abandoned", "published"]


async def test_sigterm_ends_a_cron_tick_and_the_server_at_once(
    sqlite_site: Site,
) -> None:
    """The tick still answers with its report; the next one finishes the job."""
    site = sqlite_site
    site.script("init", fault={"kind": "processing", "stuck": True})
    job = await site.post()
    server, url = await site.serve(RUNNER="cron")
    async with (
        asyncio.TaskGroup() as group,
        httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client,
    ):
        tick = group.create_task(
            client.post(
                f"{url}/cron/tick",
                headers={"Authorization": f"Bearer {CRON_SECRET}"},
            )
        )
        await site.called(Call.STATUS)
        ended = await server.stop()
        report = (await tick).json()
    assert ended.code == 0
    assert (report["claimed"], report["inFlight"], report["failed"]) == (1, 1, 0)
    let_tiktok_finish(site)
    assert (await site.programs.run("tick")).code == 0
    await assert_posted_once(site, job.id)


async def test_sigterm_ends_the_embedded_runner_too(sqlite_site: Site) -> None:
    """`serve` posts by itself, and hands back when it is told to stop."""
    site = sqlite_site
    site.script("init", fault={"kind": "processing", "stuck": True})
    job = await site.post()
    server, _ = await site.serve()
    await site.called(Call.STATUS)
    ended = await server.stop()
    assert ended.code == 0
    given_back = await site.container.jobs.get(job.id)
    assert (given_back.claim_token, given_back.attempts) == (None, 0)


@pytest.mark.parametrize("program", ["serve", "worker"])
async def test_a_database_that_hangs_holds_no_stop(
    postgres_site: Site, program: str
) -> None:
    """Nor do callers who wait for it: what was in hand is free when its claim ends."""
    site = postgres_site
    site.script("init", fault={"kind": "processing", "stuck": True})
    url = site.container.database.url
    async with relaying(to=url.port or 5432) as relay:
        through = url.set(port=relay.port).render_as_string(hide_password=False)
        running, address = await started(site, program, DATABASE_URL=through)
        job = await site.post()
        await site.called(Call.STATUS)
        relay.hang()
        async with callers_of(address, await key_of(site)):
            ended = await running.stop(patience=WITHIN)
    assert ended.code == 0
    assert (await site.container.jobs.get(job.id)).attempts == 0


async def started(site: Site, program: str, **env: str) -> tuple[Program, str | None]:
    """Start a program that posts; return it and the URL it answers at, if it does."""
    if program == "serve":
        return await site.serve(**env)
    running = await site.programs.start(program, **env)
    await running.says("worker started")
    return running, None


@asynccontextmanager
async def callers_of(address: str | None, key: str) -> AsyncIterator[None]:
    """Ask for something that the database would have to give."""
    if address is None:
        yield
        return
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=address, timeout=PATIENCE_SECONDS) as client:
        paths = ("/v1/jobs", "/v1/jobs/stream?projectId=proj_1", "/readyz")
        asked = [
            asyncio.create_task(client.get(each, headers=headers)) for each in paths
        ]
        await asyncio.sleep(0)
        try:
            yield
        finally:
            await asyncio.gather(*asked, return_exceptions=True)


async def test_many_jobs_are_handed_back_together(sqlite_site: Site) -> None:
    """A full worker leaves as quickly as one with a single job."""
    site = sqlite_site
    site.script("init", fault={"kind": "processing", "stuck": True}, times=None)
    jobs = [await site.post(f"proj_{number}") for number in range(20)]
    first = await site.programs.start("worker")
    await until(lambda: len({call.open_id for call in site.calls(Call.STATUS)}) == 20)
    ended = await first.stop()
    assert ended.code == 0
    kept = [await site.container.jobs.get(job.id) for job in jobs]
    assert {(job.claim_token, job.attempts) for job in kept} == {(None, 0)}
