"""Publishes of another installation of the same TikTok app are not taken for ours."""

import pytest
from msgspec import structs
from sqlalchemy import update

from app.domain.jobs.job import FailureReason, Job, JobStatus
from app.sandbox.posts import PostStatus
from app.store.jobs.tables import schedule_jobs
from tests.runner.background.test_confirmer import COMPLETE, FAILURE, Late, private
from tests.runner.background.test_confirmer import late as late

pytestmark = pytest.mark.usefixtures("stage")


@pytest.fixture
def cautious(late: Late) -> Late:
    """Give a worker that is not told to be the only one."""
    late.confirmer = structs.replace(late.confirmer, sole_publisher=False)
    return late


async def test_a_foreign_success_is_not_adopted_without_proof(cautious: Late) -> None:
    """One unanswered init and one publish of nobody need not belong together."""
    job = await cautious.unconfirmed(post=private())
    (post,) = await cautious.published()
    await cautious.tell(COMPLETE, post)
    assert await cautious.look() == 1
    assert await _is_held(cautious, job)


async def test_a_foreign_failure_closes_no_init(cautious: Late) -> None:
    """A retry after it would post twice."""
    job = await cautious.unconfirmed(post=private())
    (post,) = await cautious.published()
    post.status = PostStatus.FAILED
    await cautious.tell(FAILURE, post)
    assert await cautious.look() == 1
    assert await _is_held(cautious, job)


async def test_a_success_is_adopted_where_our_link_was_fetched(cautious: Late) -> None:
    """TikTok had this job's own video, and one publish has no job."""
    job = await cautious.unconfirmed(post=private())
    async with cautious.worker.container.database.write() as connection:
        which = update(schedule_jobs).where(schedule_jobs.c.id == job.id)
        await connection.execute(which.values(media_token="fetched"))
    (post,) = await cautious.published()
    await cautious.tell(COMPLETE, post)
    await cautious.look()
    assert (await cautious.worker.job(job)).status is JobStatus.POSTED


async def _is_held(late: Late, job: Job) -> bool:
    found = await late.worker.job(job)
    assert found.failure_reason is FailureReason.UNCONFIRMED
    return found.ambiguous
