"""A job's history: what happened to it besides its attempts. Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct

from app.domain import codes
from app.domain.api_key import Actor
from app.domain.jobs.idempotency_keys import iso_millis
from app.domain.jobs.job import Availability, FailureReason, Job, JobStatus, WaitingFor
from app.domain.jobs.transition import Transition


class HistoryKind(StrEnum):
    """The kinds of things that happen to a job."""

    EDITED = "edited"  # a person changed it
    MOVED = "moved"  # to another TikTok account, because a person said so
    PUT_OFF = "put_off"  # it waits for a new reason
    HELD = "held"  # posting was on hold when its time came
    RELEASED = "released"  # the hold ended
    RETRIED = "retried"
    GIVEN_UP = "given_up"  # an open publish, at the risk of a second post
    CANCELLED = "cancelled"
    RESTORED = "restored"  # a restored backup cannot tell what became of it
    FAILED_OVER = "failed_over"  # the database lost what became of it
    MISSED = "missed"  # its last moment passed
    CONFIRMED = "confirmed"  # TikTok says late that it was posted
    FAILED_LATE = "failed_late"  # TikTok says late that it was not
    AVAILABLE = "available"  # its id or URL became known
    WITHDRAWN = "withdrawn"  # it is not public any more
    DRAFT_PUBLISHED = "draft_published"
    DRAFT_DISCARDED = "draft_discarded"


class Adopted(StrEnum):
    """The evidence by which a publish without a job was assigned to this one."""

    FETCHED = "fetched"  # TikTok fetched the video by our pull URL
    SOLE = "sole_publisher"  # nobody else posts to the account with this TikTok app
    CAPTION = "caption"  # the account's only public video with this caption


class HistoryEntry(Struct, frozen=True, kw_only=True):
    """One thing that happened to a job."""

    job_id: str
    at: datetime
    kind: HistoryKind
    data: Mapping[str, Any] | None = None
    by: Actor | None = None  # None: the service itself


def history_of(
    job: Job, change: Transition, *, at: datetime
) -> tuple[HistoryEntry, ...]:
    """Return what a change of a job adds to its history besides the ledger's row.

    A job that is put off again for the same reason adds nothing.
    """
    if change.entry is not None:
        return ()
    return tuple(
        HistoryEntry(job_id=job.id, at=at, kind=kind, data=data, by=change.by)
        for kind, data in _kinds(job, change)
    )


def _kinds(
    job: Job, change: Transition
) -> Iterator[tuple[HistoryKind, dict[str, Any] | None]]:
    match job.status, change.to:
        case JobStatus.POSTED, JobStatus.POSTED:
            yield from _corrections(job, change)
        case JobStatus.FAILED, JobStatus.SCHEDULED:
            if job.in_flight and change.init_sent_at is None:
                yield HistoryKind.GIVEN_UP, {"publishId": job.publish_id}
            yield HistoryKind.RETRIED, None
        case JobStatus.FAILED, JobStatus.POSTED:
            yield HistoryKind.CONFIRMED, _proof(job, change)
        case _, JobStatus.FAILED if change.failure_reason is not job.failure_reason:
            yield _end(change)
        case _:
            if _waits_anew(job, change):
                yield HistoryKind.PUT_OFF, _wait(change)


def _proof(job: Job, change: Transition) -> dict[str, Any]:
    """Return what was confirmed; and the proof, where the job knew no publish_id."""
    told: dict[str, Any] = {"publishId": change.publish_id}
    if job.publish_id is not None:
        return told
    if change.publish_id is None:  # found among the account's videos
        return {**told, "adopted": Adopted.CAPTION}
    fetched = job.media_token is not None
    return {**told, "adopted": Adopted.FETCHED if fetched else Adopted.SOLE}


def _end(change: Transition) -> tuple[HistoryKind, dict[str, Any] | None]:
    match change.failure_reason:
        case FailureReason.CANCELLED:
            return HistoryKind.CANCELLED, None
        case FailureReason.UNCONFIRMED:  # no attempt, so no ledger row
            error = change.last_error
            fails_over = error is not None and error.code == codes.FAILED_OVER
            kind = HistoryKind.FAILED_OVER if fails_over else HistoryKind.RESTORED
            return kind, None
        case _:
            error = change.last_error
            told = None if error is None else {"code": error.code}
            return HistoryKind.FAILED_LATE, told


def _corrections(
    job: Job, change: Transition
) -> Iterator[tuple[HistoryKind, dict[str, Any] | None]]:
    told = {"postIds": list(change.post_ids), "postUrl": change.post_url}
    if change.discarded_at is not job.discarded_at:
        yield HistoryKind.DRAFT_DISCARDED, None
    if change.delivery is not job.delivery:
        yield HistoryKind.DRAFT_PUBLISHED, told
    elif (change.post_ids, change.post_url) != (job.post_ids, job.post_url):
        yield HistoryKind.AVAILABLE, told
    if change.availability is not job.availability and (
        change.availability is Availability.WITHDRAWN
    ):
        yield HistoryKind.WITHDRAWN, None


def _waits_anew(job: Job, change: Transition) -> bool:
    told = change.waiting_for not in {None, WaitingFor.TIKTOK}
    return told and change.waiting_for is not job.waiting_for


def _wait(change: Transition) -> dict[str, Any]:
    until = change.next_attempt_at
    return {
        "reason": change.waiting_for,
        "until": None if until is None else iso_millis(until),
    }
