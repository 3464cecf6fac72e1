"""An end that brings about nothing else is one statement, and tells nobody less."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.errors import StoreUnavailable, WriteUnknown
from app.domain.jobs.job import Job, JobStatus
from app.domain.jobs.outcome import Published
from app.domain.webhook_endpoint import EndpointStatus
from app.store.db.engine import Database
from app.store.jobs.claims import ClaimStore
from app.store.jobs.requests.job_store import JobStore
from app.store.jobs.tables import job_attempts
from app.store.webhooks.tables import webhook_endpoints, webhook_events
from tests.store.claiming import claim, decided
from tests.support.factories import NOW, POSTED, PROCESSING, job_row, store_rows

LISTENS = "proj_listens"
DEAF = "proj_deaf"


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    """Give Postgres: SQLite writes everything in a transaction."""
    database = Database(postgres_url)
    yield database
    await database.close()


async def test_an_end_that_tells_nobody_is_one_statement(
    database: Database, claims: ClaimStore, sent: list[str]
) -> None:
    """Its attempt waits for one answer, not for three."""
    jobs = await claimed(database, claims, DEAF, DEAF)
    sent.clear()
    assert all(await end_all(claims, jobs))
    assert len(sent) == 1
    assert await ledger(database) == sorted(job.id for job in jobs)


async def test_who_listens_is_told_whoever_else_ends(
    database: Database, claims: ClaimStore
) -> None:
    """Each end is written once, with its event if its project has an endpoint."""
    await listen(database)
    for _ in range(2):  # the second time the writer knows that somebody listens
        jobs = await claimed(database, claims, DEAF, LISTENS, DEAF, LISTENS)
        assert all(await end_all(claims, jobs))
    assert len(await ledger(database)) == 8
    assert await told(database) == [LISTENS] * 4


async def test_what_is_told_needs_no_statement_more(
    database: Database, claims: ClaimStore, sent: list[str]
) -> None:
    """Once somebody listened, ends go into a transaction at once; until nobody does."""
    updates, commits = list[int](), list[bool]()
    await listen(database)
    for project in (LISTENS, LISTENS, DEAF, DEAF):
        jobs = await claimed(database, claims, project)
        sent.clear()
        assert all(await end_all(claims, jobs))
        updates.append(sum("UPDATE schedule_jobs" in each for each in sent))
        commits.append("COMMIT" in sent)
    assert updates == [2, 1, 1, 1]
    assert commits == [True, True, True, False]


async def test_an_endpoint_that_is_new_hears_the_next_end(
    database: Database, claims: ClaimStore
) -> None:
    """What the writer knew before does not count."""
    first, second = await claimed(database, claims, LISTENS, LISTENS)
    assert await end(claims, first)
    await listen(database)
    assert await end(claims, second)
    assert await told(database) == [LISTENS]


async def test_an_end_without_an_answer_is_written_once(
    database: Database, claims: ClaimStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its attempt repeats it, and finds that the claim is over."""
    (job,) = await claimed(database, claims, DEAF)
    run = database.run

    async def unanswered(*given: Any, **more: Any) -> None:  # noqa: ANN401  as ``run``
        await run(*given, **more)
        raise WriteUnknown

    monkeypatch.setattr(database, "run", unanswered)
    with pytest.raises(WriteUnknown):
        await end(claims, job)
    monkeypatch.undo()
    assert await end(claims, job) is None
    assert await ledger(database) == [job.id]
    assert (await JobStore(database).get(job.id)).status is POSTED


async def test_what_is_told_is_not_written_without_its_event(
    database: Database, claims: ClaimStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line is cut after the statement that left it to a transaction."""
    await listen(database)
    deaf, listens = await claimed(database, claims, DEAF, LISTENS)

    @asynccontextmanager
    async def cut() -> AsyncIterator[AsyncConnection]:
        raise StoreUnavailable
        yield

    monkeypatch.setattr(database, "write", cut)
    found = await asyncio.gather(
        end(claims, deaf), end(claims, listens), return_exceptions=True
    )
    assert isinstance(found[0], Job)
    assert isinstance(found[1], StoreUnavailable)
    assert await state(database, listens) is PROCESSING
    monkeypatch.undo()
    assert await end(claims, listens) is not None
    assert await told(database) == [LISTENS]


async def claimed(
    database: Database, claims: ClaimStore, *projects: str
) -> tuple[Job, ...]:
    """Give claimed jobs of these projects, in this order."""
    rows = [job_row(project_id=project) for project in projects]
    await store_rows(database, rows)
    found = {job.id: job for job in (await claim(claims)).jobs}
    return tuple(found[row["id"]] for row in rows)


async def end(claims: ClaimStore, job: Job) -> Job | None:
    """Write that a job was posted."""
    change = decided(job, Published(publish_id=f"pub_{job.id}"))
    return await claims.apply(job, change, now=NOW)


async def end_all(claims: ClaimStore, jobs: tuple[Job, ...]) -> list[Job | None]:
    """Write all ends at one time."""
    return await asyncio.gather(*(end(claims, job) for job in jobs))


async def listen(database: Database) -> None:
    """Give a project an endpoint."""
    endpoint = {
        "project_id": LISTENS,
        "url": "https://example.com/hook",
        "secret": "sealed",
        "status": EndpointStatus.ACTIVE,
        "created_at": NOW,
        "updated_at": NOW,
    }
    async with database.write() as connection:
        await connection.execute(insert(webhook_endpoints).values(endpoint))


async def told(database: Database) -> list[str]:
    """Return the project of each event."""
    async with database.read() as connection:
        found = await connection.execute(select(webhook_events.c.project_id))
        return list(found.scalars())


async def ledger(database: Database) -> list[str]:
    """Return the job of each row of the ledger."""
    async with database.read() as connection:
        found = await connection.execute(select(job_attempts.c.job_id))
        return sorted(found.scalars())


async def state(database: Database, job: Job) -> JobStatus:
    """Return a job's state."""
    return (await JobStore(database).get(job.id)).status
