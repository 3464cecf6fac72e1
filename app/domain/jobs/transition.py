"""Every way a job's row may change, each made by its named constructor."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from app.domain.api_key import Actor
from app.domain.jobs.backoff import first_confirmation
from app.domain.jobs.job import (
    AttemptRecord,
    Availability,
    Delivery,
    FailureReason,
    Job,
    JobStatus,
    LastError,
    WaitingFor,
)
from app.domain.posts.post import PostMode, PrivacyLevel

_S = JobStatus

TRANSITIONS: Final[Mapping[JobStatus, frozenset[JobStatus]]] = MappingProxyType(
    {
        # Only a person ends a job that is not claimed.
        _S.SCHEDULED: frozenset({_S.PROCESSING, _S.FAILED}),
        _S.RETRYING: frozenset({_S.PROCESSING, _S.FAILED}),
        _S.PROCESSING: frozenset(
            # processing → processing: handed on in flight, or reclaimed
            {_S.POSTED, _S.FAILED, _S.RETRYING, _S.SCHEDULED, _S.PROCESSING}
        ),
        # Only a manual retry and a correction leave an end.
        _S.FAILED: frozenset({_S.SCHEDULED, _S.POSTED}),
        _S.POSTED: frozenset({_S.FAILED}),
    }
)


class Transition(Struct, frozen=True, kw_only=True, gc=False):
    """A change of one job, and the ledger row that goes with it."""

    to: JobStatus
    attempts: int
    next_attempt_at: datetime | None
    attempt_started_at: datetime | None = None
    init_sent_at: datetime | None = None
    publish_id: str | None = None
    failure_reason: FailureReason | None = None
    last_error: LastError | None = None
    waiting_for: WaitingFor | None = None
    delivery: Delivery | None = None
    post_id: str | None = None
    post_ids: tuple[str, ...] = ()
    post_url: str | None = None
    availability: Availability | None = None
    discarded_at: datetime | None = None
    posted_at: datetime | None = None
    confirm_at: datetime | None = None
    confirm_tries: int = 0
    keeps_claim: bool = False
    entry: AttemptRecord | None = None
    by: Actor | None = None  # the person who asked for it


def applied(job: Job, change: Transition, *, now: datetime) -> Job:
    """Return the job as it is after a transition."""
    kept = change.keeps_claim
    return replace(
        job,
        status=change.to,
        attempts=change.attempts,
        next_attempt_at=change.next_attempt_at,
        attempt_started_at=change.attempt_started_at,
        attempt_number=job.attempt_number + (change.entry is not None),
        init_sent_at=change.init_sent_at,
        publish_id=change.publish_id,
        failure_reason=change.failure_reason,
        last_error=change.last_error,
        waiting_for=change.waiting_for,
        delivery=change.delivery,
        post_id=change.post_id,
        post_ids=change.post_ids,
        availability=change.availability,
        discarded_at=change.discarded_at,
        post_url=change.post_url,
        posted_at=change.posted_at,
        confirm_at=change.confirm_at,
        confirm_tries=change.confirm_tries,
        held_since=None,
        claim_token=job.claim_token if kept else None,
        claimed_by=job.claimed_by if kept else None,
        claimed_at=job.claimed_at if kept else None,
        updated_at=now,
    )


def posted(
    job: Job,
    *,
    delivery: Delivery,
    publish_id: str | None,
    now: datetime,
    post_ids: tuple[str, ...] = (),
    post_id: str | None = None,
    post_url: str | None = None,
) -> Transition:
    """End the job posted; this counts no attempt."""
    return Transition(
        to=JobStatus.POSTED,
        attempts=job.attempts,
        next_attempt_at=None,
        init_sent_at=job.init_sent_at,
        publish_id=publish_id,
        delivery=delivery,
        post_id=post_id,
        post_ids=post_ids,
        post_url=post_url,
        availability=availability_of(job, post_id),
        posted_at=now,
        # A public post gets its id after moderation.
        confirm_at=first_confirmation(now) if lacks_post_id(job, post_id) else None,
    )


def availability_of(job: Job, post_id: str | None) -> Availability | None:
    """Return whether a post is public: TikTok names the ids of public posts only."""
    if post_id is not None:
        return Availability.PUBLIC
    return Availability.UNKNOWN if lacks_post_id(job, None) else None


def lacks_post_id(job: Job, post_id: str | None) -> bool:
    """Tell whether a public post has no id yet."""
    public = job.post.privacy_level is PrivacyLevel.PUBLIC_TO_EVERYONE
    return public and post_id is None and job.post.mode is PostMode.DIRECT


def ended_unsent(
    job: Job, *, reason: FailureReason, error: LastError, by: Actor | None = None
) -> Transition:
    """End a job that sent no init; this counts no attempt."""
    return replace(_failed(job, reason, error), by=by)


def failed(
    job: Job, *, reason: FailureReason, error: LastError, in_flight: bool
) -> Transition:
    """End the job failed and count the attempt; a correction may still follow."""
    return replace(
        _failed(job, reason, error),
        attempts=job.attempts + 1,
        init_sent_at=job.init_sent_at if in_flight else None,
        confirm_at=first_confirmation(error.at) if in_flight else None,
    )


def retrying(
    job: Job, *, at: datetime, error: LastError, in_flight: bool
) -> Transition:
    """Count the attempt and schedule the next."""
    return Transition(
        to=JobStatus.RETRYING,
        attempts=job.attempts + 1,
        next_attempt_at=at,
        init_sent_at=job.init_sent_at if in_flight else None,
        publish_id=job.publish_id,
        last_error=error,
        waiting_for=WaitingFor.TIKTOK if in_flight and job.publish_id else None,
    )


def given_back(
    job: Job,
    *,
    at: datetime,
    waiting_for: WaitingFor | None = None,
    polling_since: datetime | None = None,
) -> Transition:
    """Free the claim and count no attempt; an open init stays open."""
    if job.in_flight:
        to, waiting_for = JobStatus.PROCESSING, waiting_for or WaitingFor.TIKTOK
    else:
        to = JobStatus.RETRYING if job.attempts else JobStatus.SCHEDULED
    return Transition(
        to=to,
        attempts=job.attempts,
        next_attempt_at=at,
        # Only an attempt that continues elsewhere keeps its start.
        attempt_started_at=(
            polling_since or job.attempt_started_at if job.in_flight else None
        ),
        init_sent_at=job.init_sent_at,
        publish_id=job.publish_id,
        last_error=job.last_error,
        waiting_for=waiting_for,
    )


def reclaimed(
    job: Job, *, now: datetime, error: LastError, in_flight: bool
) -> Transition:
    """Count the abandoned attempt and begin the next under the new claim."""
    return Transition(
        to=JobStatus.PROCESSING,
        attempts=job.attempts + 1,
        next_attempt_at=job.next_attempt_at,  # the new claim's lease
        attempt_started_at=now,
        init_sent_at=job.init_sent_at if in_flight else None,
        publish_id=job.publish_id,
        last_error=error,
        keeps_claim=True,
    )


def with_entry(transition: Transition, entry: AttemptRecord) -> Transition:
    """Add the ledger row that commits together with the change."""
    return replace(transition, entry=entry)


def rescheduled(
    job: Job, *, now: datetime, gives_up: bool = False, by: Actor | None = None
) -> Transition:
    """Schedule a failed job again at a person's request, at its time or now.

    An init with a known publish_id is resumed, unless the caller gives it up. An init
    of unknown fate is given up; the caller must have accepted that.
    """
    resumes = job.in_flight and not job.ambiguous and not gives_up
    return Transition(
        to=JobStatus.SCHEDULED,
        attempts=0,
        next_attempt_at=now if resumes else max(now, job.scheduled_for),
        init_sent_at=job.init_sent_at if resumes else None,
        publish_id=job.publish_id if resumes else None,
        waiting_for=WaitingFor.TIKTOK if resumes else None,
        by=by,
    )


def confirmed_late(
    job: Job,
    *,
    delivery: Delivery,
    publish_id: str | None,
    now: datetime,
    post_ids: tuple[str, ...] = (),
    post_url: str | None = None,
) -> Transition:
    """Correct the record: TikTok says more, or that a failed job is posted.

    What is known stays: no id is dropped, and a withdrawn post stays withdrawn even if
    TikTok still names it.
    """
    known = job.post_ids or ((job.post_id,) if job.post_id else ())
    ids = tuple(dict.fromkeys((*known, *post_ids)))
    change = posted(
        job,
        delivery=delivery,
        publish_id=publish_id or job.publish_id,
        post_ids=ids,
        post_id=ids[0] if ids else None,
        post_url=job.post_url or post_url,
        now=job.posted_at or now,
    )
    withdrawn = job.availability is Availability.WITHDRAWN
    return replace(
        change,
        availability=job.availability if withdrawn else change.availability,
        confirm_tries=job.confirm_tries,
    )


def withdrawn(job: Job) -> Transition:
    """Correct the record: the post is not public any more."""
    change = still_unknown(job, confirm_at=None)
    return replace(change, availability=Availability.WITHDRAWN)


def discarded(job: Job, *, now: datetime) -> Transition:
    """Correct the record: the person discarded the draft."""
    change = still_unknown(job, confirm_at=None)
    return replace(change, discarded_at=job.discarded_at or now)


def failed_late(job: Job, *, reason: FailureReason, error: LastError) -> Transition:
    """Correct the record: TikTok says that the publish failed for good."""
    return replace(_failed(job, reason, error), attempts=max(job.attempts, 1))


def doubted(
    job: Job, *, error: LastError, sent_at: datetime | None = None
) -> Transition:
    """End a job of which the database cannot tell whether it was posted.

    TikTok is not asked about the publish that the row knows: a later one, which it does
    not know, may be the one that came out. With ``sent_at`` such an init is taken to
    have gone out then, unless one is open, and proof of it is looked for.
    """
    assumed = None if job.in_flight else sent_at
    return replace(
        _failed(job, FailureReason.UNCONFIRMED, error),
        init_sent_at=assumed or job.init_sent_at,
        publish_id=None if assumed else job.publish_id,
        confirm_at=first_confirmation(error.at) if assumed else None,
    )


def still_unknown(job: Job, *, confirm_at: datetime | None) -> Transition:
    """Leave the record unchanged, and ask again or stop asking."""
    return Transition(
        to=job.status,
        attempts=job.attempts,
        next_attempt_at=None,
        **{name: getattr(job, name) for name in _RECORD},
        confirm_at=confirm_at,
        confirm_tries=job.confirm_tries + 1,
    )


_RECORD: Final = (
    *("init_sent_at", "publish_id", "failure_reason", "last_error", "delivery"),
    *("post_id", "post_ids", "post_url", "availability", "discarded_at", "posted_at"),
)


def _failed(job: Job, reason: FailureReason, error: LastError) -> Transition:
    return Transition(
        to=JobStatus.FAILED,
        attempts=job.attempts,
        next_attempt_at=None,
        publish_id=job.publish_id,
        failure_reason=reason,
        last_error=error,
    )
