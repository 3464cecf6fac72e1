"""The runner is woken for what is due, and left alone otherwise."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from msgspec.structs import replace

from app.container import open_container
from app.domain.errors import InvalidInput, NotFound
from app.domain.jobs.edit import JobChange
from app.service.jobs.jobs import JobService
from app.use_cases import UseCases
from tests.api.serving import StandingClock, settings_of
from tests.support.factories import FAILED, NOW, new_job, store_job

LATER = NOW + timedelta(hours=1)


@dataclass
class Calls:
    """Counts the wake-ups."""

    number: int = 0
    seen: list[int] = field(default_factory=list)

    def __call__(self) -> None:
        """Take a wake-up."""
        self.number += 1


@pytest.fixture
def woken() -> Calls:
    """Give what counts."""
    return Calls()


@pytest.fixture
async def jobs(sqlite_url: str, woken: Calls) -> AsyncIterator[JobService]:
    """Give the use cases."""
    settings = settings_of(sqlite_url)
    async with open_container(settings, clock=StandingClock()) as container:
        yield replace(UseCases(container).jobs, on_due=woken)


async def test_a_due_job_wakes_the_runner(jobs: JobService, woken: Calls) -> None:
    """Post Now and past times wake it, once; a repeated request does not."""
    new = new_job(scheduled_for=None)
    await jobs.create(new, scope=None)
    assert woken.number == 1
    await jobs.create(new, scope=None)
    assert woken.number == 1
    await jobs.create(new_job(scheduled_for=NOW - timedelta(days=1)), scope=None)
    assert woken.number == 2


async def test_a_future_job_does_not(jobs: JobService, woken: Calls) -> None:
    """What is not due is found by the runner's own clock."""
    job, _ = await jobs.create(new_job(scheduled_for=LATER), scope=None)
    await jobs.edit(job.id, JobChange(max_attempts=7), scope=None)
    assert woken.number == 0


async def test_moving_a_job_to_now_wakes_it(jobs: JobService, woken: Calls) -> None:
    """An edit that makes a job due is as urgent as a new one."""
    job, _ = await jobs.create(new_job(scheduled_for=LATER), scope=None)
    await jobs.edit(job.id, JobChange(scheduled_for=None), scope=None)
    assert woken.number == 1


async def test_a_retry_wakes_it(jobs: JobService, woken: Calls) -> None:
    """A person who asks for another try waits for nothing."""
    job = await store_job(jobs.database, FAILED)
    await jobs.retry(job.id, accept_duplicate_risk=False, scope=None)
    assert woken.number == 1


async def test_a_refused_job_wakes_nobody(jobs: JobService, woken: Calls) -> None:
    """Nothing stored, nothing to run: bad ids are refused here too."""
    for bad in (
        new_job(asset_id="a|b"),
        new_job(project_id=""),
        new_job(platform="\0"),
        new_job(asset_url="https://10.0.0.1/"),
    ):
        with pytest.raises(InvalidInput):
            await jobs.create(bad, scope=None)
    with pytest.raises(NotFound):
        await jobs.create(new_job(project_id="theirs"), scope="mine")
    assert woken.number == 0
