"""A late word from TikTok corrects the record of a job that is over."""

from datetime import timedelta
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from app.domain.jobs.backoff import CONFIRM_STEPS, next_confirmation
from app.domain.jobs.corrections import (
    FailedForGood,
    NotAsked,
    NoWord,
    Truth,
    decide_late,
)
from app.domain.jobs.job import Delivery, ErrorClass, FailureReason, Job, JobStatus
from app.domain.jobs.outcome import InInbox, Published
from app.domain.jobs.transition import TRANSITIONS, Transition, posted
from app.domain.posts.post import Post, PostMode, PrivacyLevel
from tests.domain.jobs.sample import A_FAULT, AN_ERROR, NOW, a_job, applied, in_flight

LATER: Final = NOW + timedelta(hours=1)
PUBLIC: Final = Post(privacy_level=PrivacyLevel.PUBLIC_TO_EVERYONE)
MINUTE: Final = timedelta(minutes=1)

FAILED: Final = in_flight(
    a_job(
        status=JobStatus.FAILED,
        attempts=5,
        next_attempt_at=None,
        claim_token=None,
        claimed_by=None,
        claimed_at=None,
        failure_reason=FailureReason.MAX_ATTEMPTS,
        last_error=AN_ERROR,
        confirm_at=NOW,
        confirm_tries=2,
    )
)
POSTED: Final = replace(
    FAILED,
    status=JobStatus.POSTED,
    attempts=0,
    failure_reason=None,
    last_error=None,
    delivery=Delivery.PUBLISHED,
    posted_at=NOW,
    post=PUBLIC,
)


def late(job: Job, truth: Truth) -> Transition:
    """Decide an hour after the job was over."""
    return decide_late(job, truth, now=LATER)


truths = st.sampled_from(
    [
        Published(publish_id="pub-1"),
        Published(publish_id="pub-1", post_id="7602"),
        InInbox(publish_id="pub-1"),
        FailedForGood(fault=A_FAULT),
        NoWord(),
        NotAsked(until=LATER),
    ]
)


@given(
    job=st.sampled_from([FAILED, POSTED]),
    truth=truths,
    tries=st.integers(0, 10),
    post_id=st.none() | st.just("7602"),
)
def test_a_job_that_is_over_stays_over(
    job: Job, truth: Truth, tries: int, post_id: str | None
) -> None:
    """A late word never makes a job due, costs no attempt and leaves no ledger row."""
    if job.status is JobStatus.POSTED:
        job = replace(job, post_id=post_id)
    change = late(replace(job, confirm_tries=tries), truth)
    assert change.to is job.status or change.to in TRANSITIONS[job.status]
    assert change.next_attempt_at is None
    assert change.entry is None
    assert change.attempts <= job.max_attempts
    after = applied(job, change)
    assert (after.status is JobStatus.FAILED) == (after.failure_reason is not None)
    assert (after.status is JobStatus.POSTED) == (after.posted_at is not None)
    assert (after.status is JobStatus.POSTED) == (after.delivery is not None)


def test_complete_turns_a_failure_into_posted() -> None:
    """What TikTok published is posted, whatever the record said before."""
    word = Published(publish_id="pub-1", post_id="7602", post_url="https://tiktok/7602")
    change = late(FAILED, word)
    assert change.to is JobStatus.POSTED
    assert (change.delivery, change.posted_at) == (Delivery.PUBLISHED, LATER)
    assert (change.post_id, change.post_url) == ("7602", "https://tiktok/7602")
    assert (change.failure_reason, change.last_error) == (None, None)
    assert change.attempts == 5


def test_a_draft_that_arrived_late_is_posted_to_the_inbox() -> None:
    """The person finds it there, so the record says so."""
    change = late(FAILED, InInbox(publish_id="pub-1"))
    assert (change.to, change.delivery) == (JobStatus.POSTED, Delivery.INBOX)


def test_a_video_found_without_its_publish_id_keeps_the_known_one() -> None:
    """A search of the account's videos names the post, not the publish."""
    change = late(FAILED, Published(publish_id="", post_id="7602"))
    assert (change.publish_id, change.post_id) == ("pub-1", "7602")
    unnamed = replace(FAILED, publish_id=None)
    found = late(unnamed, Published(publish_id="", post_id="7602"))
    assert (found.to, found.publish_id) == (JobStatus.POSTED, None)


@pytest.mark.parametrize(
    "word", [Published(publish_id="pub-9"), InInbox(publish_id="pub-9")]
)
def test_an_unanswered_init_gets_the_id_that_was_found(word: Truth) -> None:
    """What a webhook named is kept with the post."""
    change = late(replace(FAILED, publish_id=None), word)
    assert (change.to, change.publish_id) == (JobStatus.POSTED, "pub-9")


def test_looking_for_the_id_does_not_start_over() -> None:
    """A job found posted goes on with the tries that are left to it."""
    change = late(replace(FAILED, post=PUBLIC), Published(publish_id="pub-1"))
    assert (change.confirm_at, change.confirm_tries) == (LATER + MINUTE, 2)


def test_a_late_id_is_added_to_the_post() -> None:
    """The post keeps the time at which it was posted, and is asked about no more."""
    change = late(POSTED, Published(publish_id="pub-1", post_id="7602"))
    assert (change.to, change.post_id) == (JobStatus.POSTED, "7602")
    assert (change.posted_at, change.confirm_at) == (NOW, None)


def test_a_post_in_moderation_is_asked_about_again() -> None:
    """Published without an id means that not everybody can see it yet."""
    change = late(POSTED, Published(publish_id="pub-1"))
    assert applied(POSTED, change) == replace(
        POSTED,
        confirm_at=LATER + timedelta(minutes=120),
        confirm_tries=3,
        attempt_started_at=None,
    )


@pytest.mark.parametrize("job", [FAILED, POSTED])
def test_a_question_that_was_not_asked_is_no_try(job: Job) -> None:
    """Where the quota is used up, asking waits and costs none of the tries."""
    change = late(job, NotAsked(until=LATER + MINUTE))
    assert change.to is job.status
    assert (change.confirm_at, change.confirm_tries) == (LATER + MINUTE, 2)


def test_a_private_post_is_asked_about_no_more() -> None:
    """TikTok gives it no id, so there is nothing to wait for."""
    private = replace(POSTED, post=Post(privacy_level=PrivacyLevel.SELF_ONLY))
    change = late(private, Published(publish_id="pub-1"))
    assert (change.to, change.confirm_at) == (JobStatus.POSTED, None)


@pytest.mark.parametrize("job", [FAILED, POSTED])
def test_no_word_changes_nothing_but_when_to_ask(job: Job) -> None:
    """An error on the way to TikTok is no news of the post."""
    change = late(job, NoWord())
    assert applied(job, change) == replace(
        job,
        confirm_at=LATER + timedelta(minutes=120),
        confirm_tries=3,
        attempt_started_at=None,
    )


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (ErrorClass.AUTH, FailureReason.AUTH),
        (ErrorClass.PERMANENT, FailureReason.PERMANENT),
        (ErrorClass.RATE_LIMIT, FailureReason.MAX_ATTEMPTS),
        (ErrorClass.TRANSIENT, FailureReason.MAX_ATTEMPTS),
    ],
)
@pytest.mark.parametrize(("job", "attempts"), [(FAILED, 5), (POSTED, 1)])
def test_tiktoks_own_failure_is_the_last_word(
    job: Job, attempts: int, kind: ErrorClass, reason: FailureReason
) -> None:
    """It closes the init with TikTok's reason, so that a retry may send another."""
    change = late(job, FailedForGood(fault=replace(A_FAULT, error_class=kind)))
    assert (change.to, change.failure_reason) == (JobStatus.FAILED, reason)
    assert (change.init_sent_at, change.publish_id) == (None, "pub-1")
    assert (change.attempts, change.confirm_at) == (attempts, None)
    assert change.last_error is not None
    assert change.last_error.error_class is kind
    assert change.last_error.code == A_FAULT.code
    assert (change.last_error.message, change.last_error.at) == (A_FAULT.message, LATER)
    assert change.last_error.log_id == A_FAULT.log_id


@pytest.mark.parametrize(
    "seen",
    [
        {"post_id": "7602", "post_url": "https://tiktok/7602"},
        {"delivery": Delivery.INBOX},
    ],
)
def test_a_post_that_was_seen_never_becomes_failed(seen: dict[str, str]) -> None:
    """A second post would stand beside the first one, which people know."""
    job = replace(POSTED, **seen)
    change = late(job, FailedForGood(fault=A_FAULT))
    assert (change.to, change.init_sent_at) == (JobStatus.POSTED, NOW)
    assert (change.post_id, change.post_url) == (job.post_id, job.post_url)


# When TikTok is asked


def test_tiktok_is_asked_a_few_times_over_a_day_and_then_no_more() -> None:
    """Every job in doubt comes to rest."""
    job, asked = replace(FAILED, confirm_tries=0), 0
    for _ in range(20):
        if job.confirm_at is not None:
            asked += 1
            job = applied(job, decide_late(job, NoWord(), now=job.confirm_at))
    assert asked == len(CONFIRM_STEPS)
    assert job.status is JobStatus.FAILED
    assert next_confirmation(len(CONFIRM_STEPS), NOW) is None
    assert sorted(CONFIRM_STEPS) == list(CONFIRM_STEPS)


@pytest.mark.parametrize(
    ("post", "post_id", "doubt"),
    [
        (PUBLIC, None, True),
        (PUBLIC, "7602", False),
        (Post(privacy_level=PrivacyLevel.SELF_ONLY), None, False),
        (replace(PUBLIC, mode=PostMode.INBOX), None, False),
    ],
)
def test_only_a_public_post_without_an_id_is_looked_at_again(
    post: Post, post_id: str | None, doubt: bool
) -> None:
    """TikTok gives ids to public posts alone."""
    change = posted(
        in_flight(a_job(post=post)),
        delivery=Delivery.PUBLISHED,
        publish_id="pub-1",
        post_id=post_id,
        now=NOW,
    )
    assert change.confirm_at == (NOW + MINUTE if doubt else None)
