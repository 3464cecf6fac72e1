"""What people read about a job: what happened, what comes next, what to do."""

from datetime import datetime
from typing import Final

from app.domain.codes import (
    CLASS_WORDS,
    CODES,
    LOST_TRACK,
    STILL_WORKING,
    UNCONFIRMED,
    Words,
    words_of,
)
from app.domain.job import (
    Delivery,
    ErrorClass,
    FailureReason,
    Job,
    JobStatus,
    LastError,
    WaitingFor,
)
from app.domain.post import PrivacyLevel

CRON_SECONDS: Final = 60
"""How often a cron trigger comes at best; no notice promises more."""


HELD: Final = "Posting is on hold. It goes on by itself when the hold ends."


def _cap(code: str) -> str:
    words = CODES[code].words
    return words.what if words else ""


WAITING: Final[dict[WaitingFor, str]] = {
    WaitingFor.QUOTA: "It waits for its turn: TikTok takes only some posts a minute.",
    WaitingFor.ACCOUNT_CAP: _cap("spam_risk_too_many_posts"),
    WaitingFor.APP_CAP: _cap("reached_active_user_cap"),
    WaitingFor.TIKTOK: STILL_WORKING.what,
}


def user_message(error: LastError) -> str:
    """Say what happened and what to do."""
    return " ".join(_phrase(error))


def notice(job: Job, *, run_by_cron: bool, now: datetime) -> str | None:
    """Say what a person should know about a job right now, None if it is as planned."""
    if job.held_since is not None:
        return HELD
    match job.status:
        case JobStatus.SCHEDULED:
            return _waiting(job, now) or _going_live(job, now, run_by_cron=run_by_cron)
        case JobStatus.PROCESSING:
            return _waiting(job, now)
        case JobStatus.RETRYING:
            return _waiting(job, now) or _retrying(job, now)
        case JobStatus.POSTED:
            return _posted(job)
        case JobStatus.FAILED:
            return _failed(job)


def _waiting(job: Job, now: datetime) -> str | None:
    if job.waiting_for is None:
        return None
    return f"{WAITING[job.waiting_for]} {_next_look(job, now)}".rstrip()


def _going_live(job: Job, now: datetime, *, run_by_cron: bool) -> str | None:
    if job.next_attempt_at is None or job.next_attempt_at > now:
        return None
    if run_by_cron:
        return f"Goes live within about {CRON_SECONDS} seconds."
    return "Goes live in a moment."


def _retrying(job: Job, now: datetime) -> str:
    return f"{_last_phrase(job).what} {_next_look(job, now)}".rstrip()


def _posted(job: Job) -> str | None:
    if job.delivery is Delivery.INBOX:
        return (
            "The draft is in the TikTok inbox. Finish it in TikTok's app: the caption"
            " and who may see it are chosen there."
        )
    public = job.post.privacy_level is PrivacyLevel.PUBLIC_TO_EVERYONE
    if public and job.post_id is None:
        return "TikTok has published it and may review it before everybody sees it."
    return None


def _failed(job: Job) -> str:
    if job.failure_reason is FailureReason.UNCONFIRMED or job.ambiguous:
        return " ".join(UNCONFIRMED)
    if job.in_flight:
        lost = job.failure_reason is FailureReason.AUTH
        return " ".join(LOST_TRACK if lost else STILL_WORKING)
    if job.failure_reason is FailureReason.MAX_ATTEMPTS:
        return f"{_last_phrase(job).what} {_spent(job.max_attempts)}"
    return " ".join(_last_phrase(job))


def _spent(attempts: int) -> str:
    used = "The only attempt is" if attempts == 1 else f"All {attempts} attempts are"
    return f"{used} used up; retry to start anew."


def _next_look(job: Job, now: datetime) -> str:
    if job.next_attempt_at is None or job.claim_token is not None:
        return ""
    return f"Goes on by itself {_in((job.next_attempt_at - now).total_seconds())}."


def _last_phrase(job: Job) -> Words:
    if job.last_error is None:
        return CLASS_WORDS[ErrorClass.TRANSIENT]
    return _phrase(job.last_error)


def _phrase(error: LastError) -> Words:
    return words_of(error.code, error.error_class)


def _in(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return "within a minute"
    if minutes == 1:
        return "in about a minute"
    if minutes < 90:
        return f"in about {minutes} minutes"
    return f"in about {round(minutes / 60)} hours"
