"""Jobs, outcomes and policies for the domain's tests: values and strategies."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from hypothesis import strategies as st
from msgspec.structs import replace

from app.domain.jobs.backoff import RetryPolicy, UnconfirmedInit
from app.domain.jobs.job import ErrorClass, Job, JobStatus, LastError, WaitingFor
from app.domain.jobs.lifecycle import decide
from app.domain.jobs.outcome import (
    Abandoned,
    AuthLost,
    Fault,
    HandedOn,
    InInbox,
    Outcome,
    Processing,
    Published,
    PutOff,
    RateLimited,
    Rejected,
    Transient,
    Unconfirmed,
    Verdict,
)
from app.domain.jobs.transition import Transition
from app.domain.posts.post import Post, PrivacyLevel

NOW: Final = datetime(2026, 4, 9, 12, tzinfo=UTC)

A_FAULT: Final = Fault(
    error_class=ErrorClass.TRANSIENT,
    code="internal_error",
    message="something broke",
    http_status=500,
    log_id="log-1",
)
A_CAP: Final = replace(
    A_FAULT,
    error_class=ErrorClass.RATE_LIMIT,
    code="spam_risk_too_many_posts",
    http_status=403,
)
AN_ERROR: Final = LastError(
    error_class=ErrorClass.TRANSIENT,
    code="internal_error",
    message="something broke",
    log_id="log-0",
    at=NOW - timedelta(hours=1),
)


def a_job(**changes: Any) -> Job:  # noqa: ANN401  as replace() takes them
    """Make a job that a worker claimed just now and that has sent nothing yet."""
    job = Job(
        id="job-1",
        project_id="proj_1",
        platform="tiktok",
        asset_id="asset_9",
        asset_url="https://cdn.example.com/v.mp4",
        post=Post(privacy_level=PrivacyLevel.SELF_ONLY),
        status=JobStatus.PROCESSING,
        scheduled_for=NOW - timedelta(seconds=1),
        post_now=False,
        idempotency_key="0" * 32,
        attempts=0,
        max_attempts=5,
        next_attempt_at=NOW + timedelta(seconds=300),
        created_at=NOW - timedelta(days=1),
        updated_at=NOW,
        claim_token="claim-1",
        claimed_by="worker-1",
        claimed_at=NOW,
        attempt_started_at=NOW,
    )
    return replace(job, **changes)


def in_flight(job: Job, *, publish_id: str | None = "pub-1") -> Job:
    """Open an init; without a publish_id its answer never came."""
    return replace(job, init_sent_at=NOW, publish_id=publish_id)


def applied(job: Job, change: Transition) -> Job:
    """Return the job's row as it stands after a transition."""
    names = (
        "attempts",
        "next_attempt_at",
        "attempt_started_at",
        "init_sent_at",
        "publish_id",
        "failure_reason",
        "last_error",
        "waiting_for",
        "delivery",
        "post_id",
        "post_url",
        "posted_at",
        "confirm_at",
        "confirm_tries",
    )
    job = replace(
        job, status=change.to, **{name: getattr(change, name) for name in names}
    )
    if change.entry is not None:
        job = replace(job, attempt_number=change.entry.number)
    if change.keeps_claim:
        return job
    return replace(job, claim_token=None, claimed_by=None, claimed_at=None)


RETRY: Final = RetryPolicy(unconfirmed=UnconfirmedInit.RETRY)


def decided(
    job: Job,
    outcome: Outcome,
    policy: RetryPolicy | None = None,
    random: float = 0.0,
    now: datetime = NOW,
) -> Transition:
    """Decide at NOW, by the default policy, unless told otherwise."""
    policy = policy or RetryPolicy()
    return decide(job, outcome, now=now, policy=policy, random=lambda: random)


# Strategies

moments = st.datetimes(
    min_value=datetime(2020, 1, 1),  # noqa: DTZ001  Hypothesis adds the zone
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
chance = st.floats(min_value=0, max_value=1, exclude_max=True)
seconds = st.floats(min_value=0, max_value=1e6)
publish_ids = st.sampled_from(["pub-1", "pub-2"])

policies = st.builds(
    RetryPolicy,
    steps=st.lists(seconds, min_size=1, max_size=6).map(tuple),
    cap=seconds,
    unconfirmed=st.sampled_from(UnconfirmedInit),
)

faults = st.builds(
    Fault,
    error_class=st.sampled_from(ErrorClass),
    code=st.sampled_from(["internal_error", "rate_limit_exceeded", "timeout"]),
    message=st.just("something broke"),
    verdict=st.sampled_from(Verdict),
    http_status=st.none() | st.sampled_from([400, 401, 429, 500]),
    log_id=st.none() | st.just("log-1"),
    retry_after=st.none() | st.floats(min_value=-10, max_value=1e9),
)


@st.composite
def claimed_jobs(draw: st.DrawFn) -> Job:
    """Draw a job as a worker can own it: clean, waiting for an answer, or in flight."""
    limit = draw(st.integers(1, 20))
    init_sent_at = draw(st.none() | moments)
    return a_job(
        max_attempts=limit,
        attempts=draw(st.integers(0, limit - 1)),
        attempt_number=draw(st.integers(0, 50)),
        attempt_started_at=draw(st.none() | moments),
        # A closed init leaves its publish_id behind.
        publish_id=draw(st.none() | publish_ids),
        init_sent_at=init_sent_at,
        media_token=draw(st.none() | st.just("media-1")),
        last_error=draw(st.none() | st.just(AN_ERROR)),
    )


_limits = faults.map(lambda fault: replace(fault, error_class=ErrorClass.RATE_LIMIT))
_others = faults.filter(lambda fault: fault.error_class is not ErrorClass.RATE_LIMIT)

failures = st.one_of(
    st.builds(Processing, publish_id=publish_ids, fault=st.none() | faults),
    st.builds(RateLimited, fault=_limits, in_flight=st.booleans()),
    st.builds(Transient, fault=_others, in_flight=st.booleans()),
    st.builds(Rejected, fault=_others, in_flight=st.booleans()),
    st.builds(AuthLost, fault=_others, in_flight=st.booleans()),
    st.builds(Unconfirmed, fault=_others),
    st.builds(Abandoned, worker=st.none() | st.just("worker-0")),
)
successes = st.one_of(
    st.builds(
        Published,
        publish_id=publish_ids,
        post_id=st.none() | st.just("7602997517160123666"),
        log_id=st.none() | st.just("log-2"),
    ),
    st.builds(InInbox, publish_id=publish_ids, log_id=st.none() | st.just("log-2")),
)
deferrals = st.one_of(
    st.builds(PutOff, until=moments, waiting_for=st.sampled_from(WaitingFor)),
    st.builds(HandedOn, resume_at=moments),
)
outcomes: st.SearchStrategy[Outcome] = st.one_of(failures, successes, deferrals)
