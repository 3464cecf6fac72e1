"""What people read about a job: what happened, what comes next, what to do."""

import re
from datetime import datetime
from typing import Final, NamedTuple

from app.domain.accounts.account_readiness import CHANGED, NOT_CONNECTED
from app.domain.codes import (
    ACCOUNT_CHANGED,
    CLASS_WORDS,
    CODES,
    LOST_TRACK,
    STILL_WORKING,
    UNCONFIRMED,
    Words,
    words_of,
)
from app.domain.jobs.job import (
    Availability,
    Delivery,
    ErrorClass,
    FailureReason,
    Job,
    JobStatus,
    LastError,
    WaitingFor,
)
from app.domain.jobs.readiness import ReadinessProblem
from app.domain.posts.post import PostMode, PrivacyLevel

CRON_SECONDS: Final = 60
"""How often a cron trigger comes at best; no notice promises more."""


SAID: Final = re.compile(r"it last said ([A-Z_]+(?: \([a-z_]+\))?)")
IN_INBOX: Final = (
    "The draft is in the TikTok inbox. Finish it in TikTok's app: the caption and who"
    " may see it are chosen there."
)
HELD: Final = "Posting is on hold. It goes on by itself when the hold ends."


def _cap(code: str) -> str:
    words = CODES[code].words
    return words.what if words else ""


WAITING: Final[dict[WaitingFor, str]] = {
    WaitingFor.QUOTA: "It waits for its turn: TikTok takes only some posts a minute.",
    WaitingFor.ACCOUNT_CAP: _cap("spam_risk_too_many_posts"),
    WaitingFor.APP_CAP: _cap("reached_active_user_cap"),
    WaitingFor.TIKTOK: STILL_WORKING.what,
    WaitingFor.RESOURCES: "This service is very busy just now.",
    WaitingFor.CLOCK: "The server's clock is wrong: by TikTok's it is not time yet.",
}


class Notice(NamedTuple):
    """What a person should know about a job right now."""

    code: str  # stable, for programs and translations
    text: str


def user_message(error: LastError, *, goes_on: bool = False) -> str:
    """Say what happened, and what to do unless the job goes on by itself."""
    words = _phrase(error)
    return words.what if goes_on else " ".join(words)


def notice(job: Job, *, run_by_cron: bool, now: datetime) -> Notice | None:
    """Say what a person should know about a job right now, None if it is as planned."""
    match job.status:
        case JobStatus.SCHEDULED | JobStatus.PROCESSING | JobStatus.RETRYING:
            if job.held_since is not None:
                return Notice("held", HELD)
            return _waiting(job, now) or _coming(job, now, run_by_cron=run_by_cron)
        case JobStatus.POSTED:
            return _posted(job)
        case JobStatus.FAILED:
            return _failed(job)


def _coming(job: Job, now: datetime, *, run_by_cron: bool) -> Notice | None:
    if job.status is JobStatus.PROCESSING:
        return None
    if (problem := _account_problem(job)) is not None:
        return Notice(problem.code, problem.message)
    if job.status is JobStatus.RETRYING:
        return Notice("retrying", _retrying(job, now))
    return _going_live(job, now, run_by_cron=run_by_cron)


def _account_problem(job: Job) -> ReadinessProblem | None:
    """Return what keeps a job back for certain: nobody, or another person."""
    found = job.readiness.problems if job.readiness else ()
    certain = {CHANGED.code, NOT_CONNECTED.code}
    return next((each for each in found if each.code in certain), None)


def _waiting(job: Job, now: datetime) -> Notice | None:
    if job.waiting_for is None:
        return None
    text = f"{WAITING[job.waiting_for]} {_next_look(job, now)}".rstrip()
    return Notice(f"waits_for_{job.waiting_for}", text)


def _going_live(job: Job, now: datetime, *, run_by_cron: bool) -> Notice | None:
    if job.next_attempt_at is None or job.next_attempt_at > now:
        return None
    if run_by_cron:
        soon = f"Goes live within about {CRON_SECONDS} seconds."
        return Notice("goes_live_soon", soon)
    return Notice("goes_live_now", "Goes live in a moment.")


def _retrying(job: Job, now: datetime) -> str:
    return f"{_last_phrase(job).what} {_next_look(job, now)}".rstrip()


def _posted(job: Job) -> Notice | None:
    if job.availability is Availability.WITHDRAWN:
        return Notice("withdrawn", "TikTok does not show this post any more.")
    if job.discarded_at is not None:
        gone = "The draft was thrown away in TikTok's app, or TikTok could not keep it."
        return Notice("draft_discarded", gone)
    if job.delivery is Delivery.INBOX:
        return Notice("draft_in_inbox", IN_INBOX)
    public = job.post.privacy_level is PrivacyLevel.PUBLIC_TO_EVERYONE
    if public and job.post_id is None:
        review = "TikTok has published it and may review it before everybody sees it."
        return Notice("in_review", review)
    if job.post.mode is PostMode.INBOX:
        return Notice("draft_published", "The draft was published in TikTok's app.")
    return None


def _failed(job: Job) -> Notice:
    if job.failure_reason is FailureReason.UNCONFIRMED or job.ambiguous:
        return Notice("unconfirmed", " ".join(UNCONFIRMED))
    if job.in_flight:
        return _lost_track(job)
    if job.failure_reason is FailureReason.MAX_ATTEMPTS:
        text = f"{_last_phrase(job).what} {_spent(job.max_attempts)}"
        return Notice("attempts_used_up", text)
    code = job.last_error.code if job.last_error else str(job.failure_reason)
    return Notice(code, " ".join(_last_phrase(job)))


def _lost_track(job: Job) -> Notice:
    if job.failure_reason is not FailureReason.AUTH:
        what, todo = STILL_WORKING
        said = job.last_error and SAID.search(job.last_error.message)
        told = f"{what} It last said {said[1]}." if said else what
        return Notice("still_at_tiktok", f"{told} {todo}")
    if job.last_error is not None and job.last_error.code == ACCOUNT_CHANGED:
        return Notice(ACCOUNT_CHANGED, " ".join(_last_phrase(job)))
    return Notice("lost_track", " ".join(LOST_TRACK))


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
