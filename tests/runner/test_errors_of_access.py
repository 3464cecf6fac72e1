"""An error of our access to TikTok is no error of the post."""

import pytest

from app.domain.accounts.account import AccountStatus
from app.domain.jobs.job import ErrorClass, JobStatus
from app.sandbox.recording import Call
from tests.runner.stage import Stage, Worker


@pytest.mark.parametrize("http_status", [200, 400, 503])
@pytest.mark.parametrize(
    "code", ["temporarily_unavailable", "server_error", "something_new"]
)
async def test_a_refresh_that_tiktok_cannot_make_just_now(
    stage: Stage, worker: Worker, code: str, http_status: int
) -> None:
    """It passes: the job is tried again by the schedule and posted, once."""
    job = await stage.job(worker)
    stage.fault("creator_info", "token_death", rule={"times": 1})
    fault = {"code": code, "http_status": http_status}
    stage.fault("token", "error", rule={"times": 1}, **fault)
    await worker.tick()
    after = await worker.job(job)
    assert (after.status, after.attempts) == (JobStatus.RETRYING, 1)
    assert after.last_error is not None
    assert after.last_error.error_class is ErrorClass.TRANSIENT
    account = await worker.container.accounts.get("proj_1", "tiktok")
    assert account.status is AccountStatus.ACTIVE
    stage.clock.go_to(after.next_attempt_at)
    await worker.tick()
    assert (await worker.job(job)).status is JobStatus.POSTED
    assert len(stage.calls(Call.INIT)) == 1


async def test_a_grant_that_is_over_asks_for_a_person(
    stage: Stage, worker: Worker
) -> None:
    """The job fails with the account's reason, not the post's."""
    job = await stage.job(worker)
    stage.fault("creator_info", "token_death", rule={"times": 1})
    stage.fault("token", "invalid_grant")
    await worker.tick()
    after = await worker.job(job)
    assert str(after.failure_reason) == "auth"
    account = await worker.container.accounts.get("proj_1", "tiktok")
    assert account.status is AccountStatus.RECONNECT_REQUIRED
