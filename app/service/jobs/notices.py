"""The words about a job for people: what happened, what is next, what to do."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from app.domain.accounts.account_readiness import (
    NO_ACCOUNT,
    OFF,
    OTHER_ACCOUNT,
    RECONNECT,
)
from app.domain.codes import (
    ACCOUNT_CHANGED,
    CLASS_WORDS,
    LOST_TRACK,
    MISSED,
    STILL_WORKING,
    UNCONFIRMED,
    Words,
    cap_of,
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
from app.domain.jobs.readiness import URL_ENDS, ReadinessProblem
from app.domain.posts.post import PostMode, PrivacyLevel

CRON_SECONDS: Final = 60
"""How often a cron trigger comes at best; no notice promises sooner."""


SAID: Final = re.compile(r"it last said ([A-Z_]+(?: \([a-z_]+\))?)")
WAITING: Final[dict[WaitingFor, str]] = {
    WaitingFor.QUOTA: "It waits for its turn: TikTok accepts few posts a minute.",
    WaitingFor.ACCOUNT_CAP: "This TikTok account has reached a limit for the day.",
    WaitingFor.APP_CAP: words_of("reached_active_user_cap", ErrorClass.RATE_LIMIT).what,
    WaitingFor.TIKTOK: STILL_WORKING.what,
    WaitingFor.RESOURCES: "This service is very busy at the moment.",
    WaitingFor.CLOCK: "This server's clock is ahead of TikTok's: it is not time yet.",
}

CAPPED: Final = "Tried again automatically; the limit may last until tomorrow."

NOTICES: Final[Mapping[str, str]] = {
    "unreadable": "A newer version of this service wrote this post. It is shown as far"
    " as this version understands it, and waits for the newer one.",
    "held": "Posting is on hold. It continues automatically when the hold ends.",
    **{f"waits_for_{what}": f"{text} {{when}}" for what, text in WAITING.items()},
    "goes_live_soon": f"Goes live within about {CRON_SECONDS} seconds.",
    "goes_live_now": "Goes live in a moment.",
    "retrying": "{what} {when}",
    RECONNECT.code: RECONNECT.message,
    URL_ENDS.code: URL_ENDS.message,
    **OFF,
    "draft_in_inbox": "The draft is in the TikTok inbox. Finish it in TikTok's app: the"
    " caption and who may see it are chosen there.",
    "draft_published": "The draft was published in TikTok's app.",
    "draft_discarded": "The draft was deleted in TikTok's app, or TikTok could not keep"
    " it.",
    "in_review": "TikTok has published it and may review it before everyone can see"
    " it.",
    "withdrawn": "TikTok no longer shows this post.",
    "unconfirmed": " ".join(UNCONFIRMED),
    "still_at_tiktok": f"{STILL_WORKING.what} {{said}} {STILL_WORKING.todo}",
    "lost_track": " ".join(LOST_TRACK),
    "attempts_used_up": "{what} {spent}",
}
"""Each notice of a job by its code; other codes are those of errors."""


class Notice(NamedTuple):
    """What a person should know about a job right now."""

    code: str  # stable, for programs and translations
    text: str


def user_message(job: Job, error: LastError) -> str:
    """Return what happened, and what to do if a person has to do something."""
    words = _phrase(error)
    if job.status is not JobStatus.FAILED:
        return words.what
    return " ".join((words.what, *_to_do(job, words)))


def _to_do(job: Job, words: Words) -> tuple[str, ...]:
    """Never advise to retry where that may post a second time."""
    if job.failure_reason is FailureReason.UNCONFIRMED or job.ambiguous:
        return (UNCONFIRMED.todo,) if words == UNCONFIRMED else UNCONFIRMED
    return (words.todo,)


def notice(job: Job, *, run_by_cron: bool, now: datetime) -> Notice | None:
    """Return what a person should know about a job now, None if all is as planned."""
    if not job.is_readable:
        return _say("unreadable")
    told = _notice(job, run_by_cron=run_by_cron, now=now)
    remarks = _remarks(job)
    if not remarks:
        return told
    before = [told] if told else []
    text = " ".join(each.text for each in (*before, *remarks))
    return Notice((*before, *remarks)[0].code, text)


def _remarks(job: Job) -> list[Notice]:
    """Return what TikTok decides otherwise than the person chose."""
    if job.readiness is None or job.status is JobStatus.FAILED:
        return []
    codes = job.readiness.remarks
    return [Notice(code, OFF[code]) for code in codes if code in OFF]


def _notice(job: Job, *, run_by_cron: bool, now: datetime) -> Notice | None:
    match job.status:
        case JobStatus.SCHEDULED | JobStatus.PROCESSING | JobStatus.RETRYING:
            if _is_too_late(job, now):
                return Notice(MISSED, words_of(MISSED, ErrorClass.PERMANENT).what)
            if job.held_since is not None:
                return _say("held")
            return _waiting(job, now) or _coming(job, now, run_by_cron=run_by_cron)
        case JobStatus.POSTED:
            return _posted(job)
        case JobStatus.FAILED:
            return _failed(job)


def _is_too_late(job: Job, now: datetime) -> bool:
    """Tell whether the next claim ends the job, because its deadline has passed."""
    if job.publish_by is None or job.claim_token is not None or job.in_flight:
        return False
    return job.publish_by <= now


def _coming(job: Job, now: datetime, *, run_by_cron: bool) -> Notice | None:
    if job.status is JobStatus.PROCESSING:
        return None
    if (problem := _certain_problem(job)) is not None:
        return Notice(problem.code, problem.message)
    if job.status is JobStatus.RETRYING:
        what, when = _last_phrase(job).what, _next_look(job, now)
        return _say("retrying", what=what, when=when)
    if job.next_attempt_at is None or job.next_attempt_at > now:
        return None
    return _say("goes_live_soon" if run_by_cron else "goes_live_now")


def _certain_problem(job: Job) -> ReadinessProblem | None:
    """Return what certainly stops a job: its account, or its link's end.

    Between attempts, what went wrong with the link is in the newest error.
    """
    found = job.readiness.problems if job.readiness else ()
    certain = {OTHER_ACCOUNT.code, NO_ACCOUNT.code, RECONNECT.code}
    if job.status is JobStatus.SCHEDULED:
        certain.add(URL_ENDS.code)
    return next((each for each in found if each.code in certain), None)


def _waiting(job: Job, now: datetime) -> Notice | None:
    if job.waiting_for is None:
        return None
    return _say(f"waits_for_{job.waiting_for}", when=_next_look(job, now))


def _posted(job: Job) -> Notice | None:
    if job.availability is Availability.WITHDRAWN:
        return _say("withdrawn")
    if job.discarded_at is not None:
        return _say("draft_discarded")
    if job.delivery is Delivery.INBOX:
        return _say("draft_in_inbox")
    public = job.post.privacy_level is PrivacyLevel.PUBLIC_TO_EVERYONE
    if public and job.post_id is None:
        return _say("in_review")
    if job.post.mode is PostMode.INBOX:
        return _say("draft_published")
    return None


def _failed(job: Job) -> Notice:
    if job.failure_reason is FailureReason.UNCONFIRMED or job.ambiguous:
        return _say("unconfirmed")
    if job.in_flight:
        return _lost_track(job)
    if job.failure_reason is FailureReason.MAX_ATTEMPTS:
        what, spent = _last_phrase(job).what, _spent(job.max_attempts)
        return _say("attempts_used_up", what=what, spent=spent)
    code = job.last_error.code if job.last_error else str(job.failure_reason)
    return Notice(code, " ".join(_last_phrase(job)))


def _lost_track(job: Job) -> Notice:
    if job.failure_reason is not FailureReason.AUTH:
        found = job.last_error and SAID.search(job.last_error.message)
        said = f"It last said {found[1]}." if found else ""
        return _say("still_at_tiktok", said=said)
    if job.last_error is not None and job.last_error.code == ACCOUNT_CHANGED:
        return Notice(ACCOUNT_CHANGED, " ".join(_last_phrase(job)))
    return _say("lost_track")


def _say(code: str, **parts: str) -> Notice:
    return Notice(code, " ".join(NOTICES[code].format(**parts).split()))


def _spent(attempts: int) -> str:
    used = "The only attempt is" if attempts == 1 else f"All {attempts} attempts are"
    return f"{used} used up; retry to start again."


def _next_look(job: Job, now: datetime) -> str:
    if job.next_attempt_at is None or job.claim_token is not None:
        return ""
    if _is_capped(job):
        return CAPPED
    return (
        f"Continues automatically {_in((job.next_attempt_at - now).total_seconds())}."
    )


def _is_capped(job: Job) -> bool:
    """Tell whether a daily limit holds the job back."""
    if job.waiting_for is not None:
        return job.waiting_for in {WaitingFor.ACCOUNT_CAP, WaitingFor.APP_CAP}
    return job.last_error is not None and cap_of(job.last_error.code) is not None


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
