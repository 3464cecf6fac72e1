"""What happens to a job after each kind of failure, and when it is tried again."""

from datetime import timedelta
from email.utils import format_datetime

import pytest

from app.domain.accounts.account import AccountStatus
from app.domain.jobs.job import Job
from app.sandbox.recording import Call
from tests.runner.stage import Stage, Worker

ALWAYS = {"times": None}


def assert_waits(job: Job, seconds: float) -> None:
    """Look that a job waits so long, and at most a tenth longer."""
    assert job.next_attempt_at is not None
    assert job.last_error is not None
    waits = (job.next_attempt_at - job.last_error.at).total_seconds()
    assert seconds - 0.002 <= waits <= seconds * 1.1 + 0.002


async def tried(stage: Stage, worker: Worker, job: Job) -> Job:
    """Let a job's time come, and try it."""
    stage.clock.go_to((await worker.job(job)).next_attempt_at)
    await worker.tick()
    return await worker.job(job)


async def test_the_waits_follow_the_schedule(stage: Stage, worker: Worker) -> None:
    """Each step as long as it says, capped, and at most a tenth longer."""
    stepped = await stage.worker(
        backoff_seconds="30,120,600,1800,7200", backoff_cap_seconds=3600
    )
    job = await stage.job(worker, max_attempts=7)
    stage.fault("init", "error", rule=ALWAYS, code="internal_error")
    for attempts, step in enumerate([30, 120, 600, 1800, 3600, 3600], start=1):
        after = await tried(stage, stepped, job)
        assert (after.status, after.attempts) == ("retrying", attempts)
        assert_waits(after, step)
    after = await tried(stage, stepped, job)
    assert (after.status, after.failure_reason) == ("failed", "max_attempts")


async def test_a_retry_never_comes_early(stage: Stage, worker: Worker) -> None:
    """Until its time a tick leaves it alone."""
    job = await stage.job(worker)
    stage.fault("init", "error", code="internal_error")
    due = (await tried(stage, worker, job)).next_attempt_at
    assert due is not None
    stage.clock.go_to(due - timedelta(seconds=10))
    assert (await worker.tick()).claimed == 0
    stage.clock.go_to(due)
    assert (await worker.tick()).posted == 1


@pytest.mark.parametrize(
    ("retry_after", "seconds"), [(7, 7), (0, 0), (99_999, 3600), (None, 30)]
)
async def test_a_limit_waits_as_tiktok_asks(
    stage: Stage, worker: Worker, retry_after: int | None, seconds: float
) -> None:
    """Retry-After goes before the schedule, and is capped."""
    job = await stage.job(worker)
    stage.fault("init", "rate_limit", retry_after=retry_after)
    after = await tried(stage, worker, job)
    assert (after.status, after.attempts) == ("retrying", 1)
    assert not after.in_flight
    assert_waits(after, seconds)


async def test_retry_after_may_be_a_date(stage: Stage, worker: Worker) -> None:
    """Not before that second."""
    date = (stage.clock.now() + timedelta(seconds=500)).replace(microsecond=0)
    job = await stage.job(worker)
    stage.fault("init", "rate_limit", retry_after=format_datetime(date, usegmt=True))
    after = await tried(stage, worker, job)
    assert after.next_attempt_at is not None
    assert date <= after.next_attempt_at <= date + timedelta(seconds=51)


@pytest.mark.parametrize("fails", [1, 2])
async def test_a_job_has_so_many_attempts_and_no_more(
    stage: Stage, worker: Worker, fails: int
) -> None:
    """Of two, one may fail; with the second the job is over."""
    job = await stage.job(worker, max_attempts=2)
    stage.fault("init", "error", rule={"times": fails}, code="internal_error")
    await tried(stage, worker, job)
    after = await tried(stage, worker, job)
    assert after.status == ("posted" if fails == 1 else "failed")
    assert after.attempts == fails
    outcomes = [entry.outcome for entry in await worker.ledger(job)]
    assert outcomes == ["transient", "published" if fails == 1 else "transient"]
    assert len(stage.calls(Call.INIT)) == 2


@pytest.mark.parametrize(
    ("call", "code", "ends", "reason"),
    [
        ("creator_info", "scope_not_authorized", "failed", "auth"),
        ("creator_info", "spam_risk_user_banned_from_posting", "failed", "permanent"),
        ("creator_info", "spam_risk_too_many_posts", "retrying", None),
        ("creator_info", "internal_error", "retrying", None),
        ("init", "scope_not_authorized", "failed", "auth"),
        ("init", "url_ownership_unverified", "failed", "permanent"),
        ("init", "a_code_of_the_future", "failed", "permanent"),
        ("init", "reached_active_user_cap", "retrying", None),
        ("init", "internal_error", "retrying", None),
    ],
)
async def test_a_refusal_ends_by_its_class(
    stage: Stage,
    worker: Worker,
    call: str,
    code: str,
    ends: str,
    reason: str | None,
) -> None:
    """One attempt counted, nothing in flight, TikTok's own word kept."""
    job = await stage.job(worker)
    stage.fault(call, "error", code=code, http_status=None)
    after = await tried(stage, worker, job)
    assert (after.status, after.failure_reason) == (ends, reason)
    assert (after.attempts, after.in_flight) == (1, False)
    assert after.last_error is not None
    assert after.last_error.code == code
    account = await worker.container.accounts.get("proj_1", "tiktok")
    assert (account.status is AccountStatus.ACTIVE) == (reason != "auth")


@pytest.mark.parametrize(
    ("fail_reason", "ends", "reason"),
    [
        ("video_pull_failed", "retrying", None),
        ("spam_risk_too_many_posts", "retrying", None),
        ("frame_rate_check_failed", "failed", "permanent"),
        ("auth_removed", "failed", "auth"),
    ],
)
async def test_a_failed_publish_ends_by_its_reason(
    stage: Stage, worker: Worker, fail_reason: str, ends: str, reason: str | None
) -> None:
    """Only now may a retry send a new init."""
    job = await stage.job(worker)
    stage.fault("init", "processing", fail_reason=fail_reason)
    after = await tried(stage, worker, job)
    assert (after.status, after.failure_reason) == (ends, reason)
    assert (after.attempts, after.in_flight) == (1, False)
    if ends == "retrying":
        assert (await tried(stage, worker, job)).status == "posted"
        assert len(stage.calls(Call.INIT)) == 2


async def test_an_unanswered_init_is_not_sent_again(
    stage: Stage, worker: Worker
) -> None:
    """Nobody knows, so the job fails and says so, and guards against a second post."""
    job = await stage.job(worker)
    stage.fault("init", "reset", taken=True)
    after = await tried(stage, worker, job)
    assert (after.status, after.failure_reason) == ("failed", "unconfirmed")
    assert (after.attempts, after.in_flight) == (1, True)
    stage.clock.go_on(timedelta(days=1))
    assert (await worker.tick()).claimed == 0
    assert len(stage.calls(Call.INIT)) == 1


async def test_a_deadline_keeps_the_id_and_polls_first(
    stage: Stage, worker: Worker
) -> None:
    """TikTok was not done in time: an attempt is counted, its init is not repeated."""
    job = await stage.job(worker)
    stage.stuck(job)
    after = await tried(stage, worker.hasty, job)
    assert (after.status, after.attempts) == ("retrying", 1)
    assert after.in_flight
    stage.unstick(job)
    done = await tried(stage, worker, job)
    assert (done.status, done.publish_id) == ("posted", after.publish_id)
    assert len(stage.calls(Call.INIT)) == 1
    assert [it.outcome for it in await worker.ledger(job)] == [
        "processing",
        "published",
    ]


async def test_a_token_that_dies_while_polling_costs_nothing(
    stage: Stage, worker: Worker
) -> None:
    """One refresh, the same question again, and never a second init."""
    job = await stage.job(worker)
    stage.fault("status", "token_death")
    done = await tried(stage, worker, job)
    assert (done.status, done.attempts) == ("posted", 0)
    assert len(stage.calls(Call.TOKEN)) == 1
    assert len(stage.calls(Call.INIT)) == 1
    account = await worker.container.accounts.get("proj_1", "tiktok")
    assert account.grant_version


async def test_a_grant_that_dies_while_polling_keeps_the_id(
    stage: Stage, worker: Worker
) -> None:
    """The person reconnects, and a retry asks for the same publish."""
    job = await stage.job(worker)
    stage.fault("status", "token_death")
    stage.fault("token", "invalid_grant")
    lost = await tried(stage, worker, job)
    assert (lost.status, lost.failure_reason) == ("failed", "auth")
    assert (lost.attempts, lost.in_flight) == (1, True)
    account = await worker.container.accounts.get("proj_1", "tiktok")
    assert account.status is AccountStatus.RECONNECT_REQUIRED
    await stage.connect(worker, "proj_1")
    await worker.container.jobs.retry(job.id, now=stage.clock.now())
    done = await tried(stage, worker, job)
    assert (done.status, done.publish_id) == ("posted", lost.publish_id)
    assert len(stage.calls(Call.INIT)) == 1
