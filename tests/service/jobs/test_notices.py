"""What people read: true, complete, and free of jargon."""

import re
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from msgspec.structs import replace

from app.domain.codes import CLASS_WORDS, CODES, words_of
from app.domain.jobs.job import (
    Delivery,
    ErrorClass,
    FailureReason,
    Job,
    JobStatus,
    LastError,
    WaitingFor,
)
from app.domain.posts.post import Post, PostMode, PrivacyLevel
from app.schemas.job_answers import JobAnswer
from app.service.jobs.notices import CAPPED, WAITING, notice, user_message
from tests.domain.jobs.sample import NOW, a_job, in_flight

JARGON: Final = re.compile(
    r"_|\b[a-z]+[A-Z]|\b(HTTP|URL|API|token|scope|OAuth|null|4\d\d|5\d\d|init|poll|publish_id)\b"
)


def error(code: str, kind: ErrorClass) -> LastError:
    """Make an error with a code."""
    return LastError(error_class=kind, code=code, message="raw", log_id=None, at=NOW)


def waiting_job(**changes: Any) -> Job:  # noqa: ANN401  as replace() takes them
    """Make a job that no worker owns."""
    job = replace(a_job(), claim_token=None, claimed_by=None, claimed_at=None)
    return replace(job, **{"next_attempt_at": NOW} | changes)


def said(job: Job, *, run_by_cron: bool = False) -> str:
    """Return a notice that must be there."""
    told = notice(job, run_by_cron=run_by_cron, now=NOW)
    assert told is not None
    assert re.fullmatch(r"[a-z_]+", told.code)
    return told.text


def message_of(problem: LastError) -> str:
    """Return what the person of a failed job reads."""
    return user_message(waiting_job(status=JobStatus.FAILED), problem)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        *(
            (code, known.answer or known.reason or "transient")
            for code, known in CODES.items()
        ),
        ("new", "auth"),
    ],
)
def test_every_error_is_put_into_plain_words(code: str, kind: str) -> None:
    """Known codes and new ones: whole sentences, no code, no jargon."""
    text = message_of(error(code, ErrorClass(kind)))
    assert not JARGON.search(text), text
    assert code not in text.split()
    assert text.endswith(".")
    assert len(text) > 30


def test_every_class_and_every_wait_has_words() -> None:
    """No error class and no reason to wait is without a sentence."""
    assert set(CLASS_WORDS) == set(ErrorClass)
    assert set(WAITING) == set(WaitingFor)
    own = [known.words for known in CODES.values() if known.words is not None]
    for phrase in (*own, *CLASS_WORDS.values()):
        assert not JARGON.search(" ".join(phrase)), phrase
        assert phrase.what.endswith(".")
        assert phrase.todo.endswith(".")


PHRASES: Final = (
    *(known.words for known in CODES.values() if known.words is not None),
    *CLASS_WORDS.values(),
)
BIDS: Final = {
    sentence.split()[0]
    for phrase in PHRASES
    for sentence in re.split(r"(?<=\.) ", phrase.todo)
}
"""How every sentence begins that tells a person to do something."""


def bids(text: str) -> list[str]:
    """Return the sentences that tell a person to do something."""
    sentences = re.split(r"(?<=\.) ", text)
    return [
        each for each in sentences if each.partition(" ")[0] in BIDS or "retry" in each
    ]


@pytest.mark.parametrize("kind", list(ErrorClass))
@pytest.mark.parametrize("code", [*CODES, "new"])
@pytest.mark.parametrize(
    "status", [JobStatus.SCHEDULED, JobStatus.PROCESSING, JobStatus.RETRYING]
)
def test_nobody_is_told_to_do_what_goes_on_by_itself(
    status: JobStatus, code: str, kind: ErrorClass
) -> None:
    """What to do is said once a person has to do it, and then it is said."""
    later = NOW + timedelta(minutes=5)
    job = waiting_job(
        status=status, last_error=error(code, kind), next_attempt_at=later
    )
    shown = JobAnswer.of(job, run_by_cron=False, now=NOW)
    assert shown.last_error is not None
    assert bids(shown.last_error.user_message) == []
    assert bids(shown.notice or "") == []
    failed = replace(
        job,
        status=JobStatus.FAILED,
        failure_reason=FailureReason.PERMANENT,
        next_attempt_at=None,
    )
    shown = JobAnswer.of(failed, run_by_cron=False, now=NOW)
    assert shown.last_error is not None
    assert bids(shown.last_error.user_message)
    assert bids(shown.notice or "")


@pytest.mark.parametrize("code", [*CODES, "new"])
def test_nobody_is_told_to_retry_what_may_be_posted(code: str) -> None:
    """While it is not known whether TikTok took it, the first advice is to look."""
    job = waiting_job(
        status=JobStatus.FAILED,
        failure_reason=FailureReason.UNCONFIRMED,
        last_error=error(code, ErrorClass.TRANSIENT),
    )
    shown = JobAnswer.of(job, run_by_cron=False, now=NOW).last_error
    assert shown is not None
    assert bids(shown.user_message)[0].startswith("Look at the account")


CONFIGURATION: Final = {
    *("invalid_client", "unauthorized_client", "unsupported_grant_type"),
    *("invalid_request", "invalid_scope"),
}


@pytest.mark.parametrize("code", sorted(CONFIGURATION))
def test_a_mistake_of_the_operators_is_not_blamed_on_the_video(code: str) -> None:
    """Who posts cannot mend the service's own settings, and is told who can."""
    text = message_of(error(code, ErrorClass.PERMANENT))
    assert "whoever runs the service" in text
    assert "video" not in text


def test_what_goes_on_by_itself_is_not_asked_for() -> None:
    """A limit ends by itself: nobody is told to retry what is retried anyway."""
    for code, known in CODES.items():
        if known.answer is ErrorClass.RATE_LIMIT:
            words = words_of(code, known.answer)
            assert words.todo.startswith("If ") or "drafts" in words.what


def test_a_lost_grant_says_reconnect_then_retry() -> None:
    """The person learns the two steps in their order."""
    text = message_of(error("access_token_invalid", ErrorClass.AUTH))
    assert re.search(r"[Rr]econnect.*then retry", text)


def test_post_now_under_cron_promises_no_more_than_a_minute() -> None:
    """With cron alone a due job goes live within about 60 seconds."""
    job = waiting_job(status=JobStatus.SCHEDULED)
    assert said(job, run_by_cron=True) == "Goes live within about 60 seconds."
    assert said(job) == "Goes live in a moment."


def test_a_job_as_planned_needs_no_words() -> None:
    """Waiting for its time, at work, posted: nothing to add."""
    later = NOW + timedelta(hours=1)
    for job in (
        waiting_job(status=JobStatus.SCHEDULED, next_attempt_at=later),
        a_job(),
        waiting_job(status=JobStatus.POSTED, delivery=Delivery.PUBLISHED),
    ):
        assert notice(job, run_by_cron=True, now=NOW) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "within a minute"),
        (10, "within a minute"),
        (60, "in about a minute"),
        (600, "in about 10 minutes"),
        (7200, "in about 2 hours"),
    ],
)
def test_a_retry_says_why_and_when(seconds: int, words: str) -> None:
    """A retrying job names its error in plain words and its next time."""
    job = waiting_job(
        status=JobStatus.RETRYING,
        attempts=1,
        last_error=error("internal_error", ErrorClass.TRANSIENT),
        next_attempt_at=NOW + timedelta(seconds=seconds),
    )
    text = said(job)
    assert text.endswith(f"Continues automatically {words}.")
    assert text.startswith("Something went wrong")


@pytest.mark.parametrize("reason", list(WaitingFor))
@pytest.mark.parametrize(
    "status", [JobStatus.SCHEDULED, JobStatus.PROCESSING, JobStatus.RETRYING]
)
def test_a_wait_is_explained(reason: WaitingFor, status: JobStatus) -> None:
    """A job that is put off says what it waits for and when it goes on."""
    text = said(waiting_job(status=status, waiting_for=reason))
    capped = reason in {WaitingFor.ACCOUNT_CAP, WaitingFor.APP_CAP}
    when = CAPPED if capped else "Continues automatically within a minute."
    assert text == f"{WAITING[reason]} {when}"


@pytest.mark.parametrize("code", [code for code, known in CODES.items() if known.cap])
def test_a_daily_cap_promises_no_minute(code: str) -> None:
    """The next try may come within a minute; the end of the limit does not."""
    job = waiting_job(
        status=JobStatus.RETRYING, last_error=error(code, ErrorClass.RATE_LIMIT)
    )
    assert said(job).endswith(CAPPED)
    assert "minute" not in said(job)


def test_a_job_at_work_names_no_next_time() -> None:
    """While a worker has the job, its next time is only the end of the lease."""
    text = said(replace(a_job(), waiting_for=WaitingFor.TIKTOK))
    assert text == WAITING[WaitingFor.TIKTOK]


def test_a_draft_is_finished_by_the_person() -> None:
    """An inbox post is no post yet: it is finished in TikTok's app."""
    job = waiting_job(
        status=JobStatus.POSTED,
        post=Post(mode=PostMode.INBOX),
        delivery=Delivery.INBOX,
    )
    assert "Finish it in TikTok's app" in said(job)
    assert "caption" in said(job)


def test_a_public_post_may_be_under_review() -> None:
    """Until TikTok names the public post, not everybody may see it."""
    job = waiting_job(
        status=JobStatus.POSTED,
        post=Post(privacy_level=PrivacyLevel.PUBLIC_TO_EVERYONE),
        delivery=Delivery.PUBLISHED,
    )
    assert "review" in said(job)
    known = replace(job, post_id="7602997517160123666")
    assert notice(known, run_by_cron=False, now=NOW) is None


def failed_job(reason: FailureReason, **changes: Any) -> Job:  # noqa: ANN401
    """Make a job that ended badly."""
    return waiting_job(
        status=JobStatus.FAILED,
        failure_reason=reason,
        next_attempt_at=None,
        **{"last_error": error("internal_error", ErrorClass.TRANSIENT)} | changes,
    )


def test_an_unconfirmed_job_says_look_before_you_send() -> None:
    """First the account is checked; only then is it sent again, at one's own risk."""
    for job in (
        failed_job(FailureReason.UNCONFIRMED),
        failed_job(FailureReason.MAX_ATTEMPTS, init_sent_at=NOW),
        failed_job(FailureReason.AUTH, init_sent_at=NOW),
    ):
        assert re.search(r"Look at the account.*accept the risk", said(job))


def test_a_job_still_at_tiktok_is_not_sent_a_second_time() -> None:
    """Attempts used up while TikTok works on it: a retry only asks again."""
    job = failed_job(FailureReason.MAX_ATTEMPTS, init_sent_at=NOW, publish_id="p")
    assert "not sent a second time" in said(job)


def test_a_lost_grant_in_the_middle_of_a_publish_asks_to_reconnect_first() -> None:
    """Waiting alone would never tell what became of it."""
    text = said(failed_job(FailureReason.AUTH, init_sent_at=NOW, publish_id="p"))
    assert "Reconnect" in text
    assert "not sent a second time" in text


def test_one_attempt_is_spoken_of_as_one() -> None:
    """Not as "all 1 attempts"."""
    text = said(failed_job(FailureReason.MAX_ATTEMPTS, attempts=1, max_attempts=1))
    assert "The only attempt is used up" in text


def test_used_up_attempts_can_be_started_anew() -> None:
    """failed(max_attempts) says how many there were and what to do."""
    text = said(failed_job(FailureReason.MAX_ATTEMPTS, max_attempts=5))
    assert text.endswith("All 5 attempts are used up; retry to start again.")


def test_a_failed_job_without_an_error_still_speaks() -> None:
    """No failed job is silent."""
    assert said(failed_job(FailureReason.MAX_ATTEMPTS, last_error=None))
    assert said(failed_job(FailureReason.PERMANENT, last_error=None))


@pytest.mark.parametrize("status", [JobStatus.SCHEDULED, JobStatus.RETRYING])
@pytest.mark.parametrize("held_since", [None, NOW])
def test_a_deadline_that_has_passed_promises_nothing(
    status: JobStatus, held_since: datetime | None
) -> None:
    """The next claim ends it: it does not go live in a moment, nor after a hold."""
    late = waiting_job(status=status, publish_by=NOW, held_since=held_since)
    assert said(late) == "This post could not go out before its deadline."
    in_time = replace(late, publish_by=NOW + timedelta(seconds=1))
    assert "deadline" not in said(in_time)


def test_what_tiktok_may_have_is_not_missed() -> None:
    """What was stamped is followed however late."""
    job = in_flight(waiting_job(status=JobStatus.RETRYING, publish_by=NOW))
    assert "deadline" not in said(job)
