"""Requests at one time: one statement, and each request's own result."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError

from app.domain.jobs.job import Job, NewJob
from app.store.db.engine import Database
from app.store.jobs.requests.job_store import JobStore
from tests.support.factories import NOW, count_jobs, new_job

MANY = 25
A_LONG_STATEMENT = 300  # long enough to meet another half way
LATER = NOW + timedelta(days=1)

Added = tuple[Job, bool]


@pytest.fixture
def inserts(database: Database) -> Iterator[list[str]]:
    """Collect what the statements that add jobs are given."""
    sent: list[str] = []

    def note(*call: Any) -> None:  # noqa: ANN401  SQLAlchemy's own signature
        if call[2].startswith("INSERT INTO schedule_jobs"):
            sent.append(str(call[3]))

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    yield sent
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)


def asked(number: int, **more: Any) -> NewJob:  # noqa: ANN401  any field
    """Ask for one of many different posts."""
    return new_job(asset_id=f"asset_{number}", scheduled_for=LATER, **more)


async def add_all(jobs: JobStore, wishes: list[NewJob]) -> list[Added | BaseException]:
    """Ask for all at one time."""
    adding = (jobs.add(wish, now=NOW) for wish in wishes)
    return await asyncio.gather(*adding, return_exceptions=True)


async def test_requests_share_a_statement_and_each_gets_its_own_job(
    jobs: JobStore, inserts: list[str]
) -> None:
    """One statement; every answer is the row of that request, as it is stored."""
    wishes = [asked(n, max_attempts=n + 1) for n in range(MANY)]
    answers = await add_all(jobs, wishes)
    assert len(inserts) == 1
    for wish, answer in zip(wishes, answers, strict=True):
        assert not isinstance(answer, BaseException)
        job, created = answer
        assert created
        assert (job.asset_id, job.max_attempts) == (wish.asset_id, wish.max_attempts)
        assert job == await jobs.get(job.id)


async def test_a_request_that_is_refused_is_refused_alone(
    database: Database, jobs: JobStore
) -> None:
    """What the database does not take is nobody else's loss."""
    wishes = [asked(n, max_attempts=0 if n == 3 else 5) for n in range(MANY)]
    answers = await add_all(jobs, wishes)
    assert isinstance(answers.pop(3), IntegrityError)
    assert not [each for each in answers if isinstance(each, BaseException)]
    assert await count_jobs(database) == MANY - 1


async def test_twins_in_one_statement_are_one_job(
    database: Database, jobs: JobStore
) -> None:
    """Repeated within the group or before it: one row, and who was first is told."""
    before, _ = await jobs.add(asked(0), now=NOW)
    answers = await add_all(jobs, [asked(n % 5) for n in range(MANY)])
    found = [each for each in answers if not isinstance(each, BaseException)]
    assert len(found) == MANY
    assert sum(created for _, created in found) == 4
    assert {job.id for job, _ in found if job.asset_id == "asset_0"} == {before.id}
    assert len({job.id for job, _ in found}) == await count_jobs(database) == 5


async def test_a_statement_takes_its_rows_in_the_order_of_their_keys(
    jobs: JobStore, inserts: list[str]
) -> None:
    """Two that repeat each other's requests cannot wait for each other in a ring."""
    answers = await add_all(jobs, [asked(n) for n in range(MANY)])
    keys = [each[0].idempotency_key for each in answers if isinstance(each, tuple)]
    (given,) = inserts
    assert sorted(keys) == sorted(keys, key=given.index)


async def test_groups_of_several_processes_wait_for_each_other_in_one_order(
    processes: list[Database],
) -> None:
    """The same requests, here from the first and there from the last: none fails."""
    wishes = [asked(n) for n in range(A_LONG_STATEMENT)]
    for process in processes:  # connected, they begin at one time
        assert await count_jobs(process) == 0
    groups = await asyncio.gather(
        *(
            add_all(JobStore(process), wishes[:: 1 - 2 * (n % 2)])
            for n, process in enumerate(processes)
        )
    )
    found = [each for group in groups for each in group]
    assert not [each for each in found if isinstance(each, BaseException)]
    assert await count_jobs(processes[0]) == A_LONG_STATEMENT
