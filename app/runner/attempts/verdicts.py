"""What TikTok's answers come to."""

from datetime import datetime
from typing import Final, assert_never

from msgspec.structs import replace

from app.domain import codes
from app.domain.jobs.job import ErrorClass, Job, WaitingFor
from app.domain.jobs.lifecycle import STILL_PROCESSING
from app.domain.jobs.outcome import (
    AuthLost,
    Fault,
    InInbox,
    Outcome,
    Processing,
    Published,
    PutOff,
    RateLimited,
    Rejected,
    Transient,
)
from app.machine.shortage import AGAIN_AFTER
from app.tiktok import CreatorInfo, PublishStatus
from app.tiktok.text import clean

VIDEO_TOO_LONG: Final = "video_too_long"
PRIVACY_NOT_OFFERED: Final = "privacy_level_option_mismatch"


def published(
    status: PublishStatus,
    job: Job,
    publish_id: str,
    username: str | None,
    *,
    told: tuple[str, ...] = (),
) -> Published:
    """Return what a finished publish came to; its id may come later.

    ``told`` are ids that only TikTok's events name.
    """
    post_ids = tuple(dict.fromkeys((*status.post_ids, *told)))
    post_id = post_ids[0] if post_ids else None
    url = None
    if post_id is not None and username:
        url = f"https://www.tiktok.com/@{username}/{job.post.media_type}/{post_id}"
    return Published(
        publish_id=publish_id,
        post_ids=post_ids,
        post_id=post_id,
        post_url=url,
        log_id=status.log_id,
        http_status=status.http_status,
    )


def still_working(said: PublishStatus | None) -> Fault | None:
    """Say why a publish is not over, as TikTok said last; None if it said nothing."""
    if said is None or not said.raw_status:
        return None
    reason = f" ({said.fail_reason})" if said.fail_reason else ""
    message = f"{STILL_PROCESSING.message}: it last said {said.raw_status}{reason}"
    return replace(STILL_PROCESSING, message=clean(message, limit=200))


def in_inbox(status: PublishStatus, publish_id: str) -> InInbox:
    """Return what a draft came to that reached the inbox."""
    return InInbox(
        publish_id=publish_id, log_id=status.log_id, http_status=status.http_status
    )


def outcome_of(fault: Fault, *, in_flight: bool = False) -> Outcome:
    """Return the outcome that a fault's class makes of an attempt."""
    match fault.error_class:
        case ErrorClass.AUTH:
            return AuthLost(fault=fault, in_flight=in_flight)
        case ErrorClass.PERMANENT:
            return Rejected(fault=fault, in_flight=in_flight)
        case ErrorClass.RATE_LIMIT:
            return RateLimited(fault=fault, in_flight=in_flight)
        case ErrorClass.TRANSIENT:
            return Transient(fault=fault, in_flight=in_flight)
        case _:
            assert_never(fault.error_class)


def but_for_shortage(outcome: Outcome, *, now: datetime) -> Outcome:
    """Put off what failed for want of something of our own: it is no attempt."""
    match outcome:
        case (
            Transient(fault=Fault(code=codes.OUT_OF_RESOURCES))
            | Processing(fault=Fault(code=codes.OUT_OF_RESOURCES))
        ):
            return put_off_for_shortage(now)
        case _:
            return outcome


def put_off_for_shortage(now: datetime) -> PutOff:
    """Return what becomes of an attempt that we lack something for."""
    return PutOff(until=now + AGAIN_AFTER, waiting_for=WaitingFor.RESOURCES)


def not_offered(info: CreatorInfo, chosen: str) -> Fault:
    """Return the fault of a privacy level that this creator cannot choose."""
    offered = ", ".join(info.privacy_options) or "nothing"
    return Fault(
        error_class=ErrorClass.PERMANENT,
        code=PRIVACY_NOT_OFFERED,
        message=f"TikTok offers this creator {offered}, not {chosen}",
    )


def longer_than_allowed(seconds: float | None, max_seconds: int) -> Fault:
    """Return the fault of a video that is longer than this creator may post."""
    return Fault(
        error_class=ErrorClass.PERMANENT,
        code=VIDEO_TOO_LONG,
        message=f"the video has {seconds or 0:.1f} seconds, and this creator may post"
        f" {max_seconds}",
    )
