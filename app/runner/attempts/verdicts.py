"""Turn TikTok's answers into outcomes."""

from datetime import datetime
from typing import Final, assert_never

from msgspec.structs import replace

from app.domain import codes
from app.domain.accounts.account import CreatorInfo
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
from app.tiktok.text import clean
from app.tiktok.values import PublishStatus

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
    """Return the outcome of a complete publish; its post id may come later.

    ``told`` are ids known only from TikTok's events.
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
    """Return TikTok's last reason why a publish is not over, None if there is none."""
    if said is None or not said.raw_status:
        return None
    reason = f" ({said.fail_reason})" if said.fail_reason else ""
    message = f"{STILL_PROCESSING.message}: it last said {said.raw_status}{reason}"
    return replace(STILL_PROCESSING, message=clean(message, limit=200))


def in_inbox(status: PublishStatus, publish_id: str) -> InInbox:
    """Return the outcome of a draft that reached the inbox."""
    return InInbox(
        publish_id=publish_id, log_id=status.log_id, http_status=status.http_status
    )


def outcome_of(fault: Fault, *, in_flight: bool = False) -> Outcome:
    """Return an attempt's outcome by its fault's class."""
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
    """Turn a failure by our own shortage into a PutOff: it is no attempt."""
    match outcome:
        case (
            Transient(fault=Fault(code=codes.OUT_OF_RESOURCES))
            | Processing(fault=Fault(code=codes.OUT_OF_RESOURCES))
        ):
            return put_off_for_shortage(now)
        case _:
            return outcome


def put_off_for_shortage(now: datetime) -> PutOff:
    """Return the outcome of an attempt that our own shortage stops."""
    return PutOff(until=now + AGAIN_AFTER, waiting_for=WaitingFor.RESOURCES)


def not_offered(info: CreatorInfo, chosen: str) -> Fault:
    """Return the fault of a privacy level that TikTok does not offer the creator."""
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
