"""What a look at a job ahead of its time comes to."""

from datetime import datetime, timedelta
from typing import Final

import pytest
from msgspec.structs import replace

from app.domain.accounts.account_readiness import (
    NO_ACCOUNT,
    NOT_REFRESHED,
    PRIVACY_NOT_OFFERED,
    RECONNECT,
    SCOPE_MISSING,
    creator_problem,
    grant_problem,
    privacy_problem,
    scope_problem,
)
from app.domain.jobs.edit import JobChange, edited
from app.domain.jobs.job import ErrorClass, Job, JobStatus
from app.domain.jobs.outcome import Fault
from app.domain.jobs.readiness import (
    EMPTY,
    MAX_VIDEO_BYTES,
    NOT_A_VIDEO,
    REDIRECTS,
    TOO_LARGE,
    UNREACHABLE,
    Readiness,
    ReadinessProblem,
    asset_problem,
    first_preflight,
    next_preflight,
)
from app.domain.posts.post import Post, PostMode, PrivacyLevel
from tests.domain.jobs.sample import NOW, a_job

AHEAD: Final = (timedelta(minutes=60), timedelta(minutes=10))
FOUND: Final = Readiness(NOW, (UNREACHABLE,))


def waiting(minutes: int, readiness_at: datetime | None = None) -> Job:
    """Make a job that is due in so many minutes and was looked at."""
    at = NOW + timedelta(minutes=minutes)
    job = a_job(status=JobStatus.SCHEDULED, claim_token=None, readiness=FOUND)
    return replace(job, scheduled_for=at, next_attempt_at=at, readiness_at=readiness_at)


@pytest.mark.parametrize(
    ("minutes", "look_in"),
    [(90, 30), (61, 1), (60, 50), (30, 20), (10, None), (5, None), (-5, None)],
)
def test_only_looks_that_are_still_to_come_are_made(
    minutes: int, look_in: int | None
) -> None:
    """The earliest of them is next; who is scheduled too late for one has none."""
    at = NOW + timedelta(minutes=minutes)
    look = None if look_in is None else NOW + timedelta(minutes=look_in)
    assert next_preflight(at, now=NOW, preflights=AHEAD) == look
    assert next_preflight(at, now=NOW, preflights=()) is None


def test_a_moved_job_is_looked_at_anew() -> None:
    """What was found is dropped, and the looks count from the new time."""
    at = NOW + timedelta(minutes=90)
    moved = edited(waiting(5), JobChange(scheduled_for=at), now=NOW, preflights=AHEAD)
    assert (moved.readiness, moved.readiness_at) == (None, at - AHEAD[0])


@pytest.mark.parametrize(
    ("minutes", "look_in"), [(90, 30), (60, 0), (30, 0), (5, 0), (2, 0), (1, None)]
)
def test_a_late_plan_is_looked_at_at_once(minutes: int, look_in: int | None) -> None:
    """Who schedules for in five minutes hears of a problem while it can be mended."""
    at = NOW + timedelta(minutes=minutes)
    look = None if look_in is None else NOW + timedelta(minutes=look_in)
    assert first_preflight(at, now=NOW, preflights=AHEAD) == look
    assert first_preflight(at, now=NOW, preflights=()) is None


def test_post_now_is_not_looked_at() -> None:
    """There is no time ahead of it."""
    change = JobChange(scheduled_for=None)
    job = waiting(90, readiness_at=NOW + timedelta(minutes=30))
    now = edited(job, change, now=NOW, preflights=AHEAD)
    assert (now.readiness, now.readiness_at) == (None, None)


@pytest.mark.parametrize(("minutes", "look_in"), [(90, 30), (30, 0), (5, 0)])
@pytest.mark.parametrize(
    "change",
    [
        JobChange(asset_url="https://cdn.example.com/2.mp4"),
        JobChange(post={"privacy_level": PrivacyLevel.PUBLIC_TO_EVERYONE}),
    ],
    ids=["asset", "post"],
)
def test_what_was_put_right_is_looked_at_at_once(
    change: JobChange, minutes: int, look_in: int
) -> None:
    """Once a look has been due; before, the first one is early enough."""
    after = edited(waiting(minutes), change, now=NOW, preflights=AHEAD)
    look = NOW + timedelta(minutes=look_in)
    assert (after.readiness, after.readiness_at) == (None, look)


def test_more_attempts_change_nothing_about_a_look() -> None:
    """What was found still holds."""
    job = waiting(30, readiness_at=NOW + timedelta(minutes=20))
    after = edited(job, JobChange(max_attempts=9), now=NOW, preflights=AHEAD)
    assert (after.readiness, after.readiness_at) == (FOUND, job.readiness_at)


def test_a_job_between_its_attempts_is_not_looked_at() -> None:
    """The next attempt itself will tell."""
    job = waiting(30, readiness_at=NOW)
    at = NOW + timedelta(minutes=90)
    retrying = replace(job, status=JobStatus.RETRYING)
    after = edited(retrying, JobChange(scheduled_for=at), now=NOW, preflights=AHEAD)
    assert after.readiness_at is None


@pytest.mark.parametrize(
    ("status", "headers", "problem"),
    [
        (200, {}, None),
        (200, {"content-type": "video/mp4"}, None),
        (206, {"content-type": "Video/WebM; codecs=vp9"}, None),
        (200, {"content-type": "application/octet-stream"}, None),
        (200, {"content-type": "text/html; charset=utf-8"}, NOT_A_VIDEO),
        (200, {"content-type": "application/json"}, NOT_A_VIDEO),
        (301, {"content-type": "video/mp4"}, REDIRECTS),
        (307, {}, REDIRECTS),
        (403, {}, UNREACHABLE),
        (404, {"content-type": "text/html"}, UNREACHABLE),
        (204, {}, UNREACHABLE),
        (500, {}, UNREACHABLE),
        (200, {"content-length": str(MAX_VIDEO_BYTES)}, None),
        (200, {"content-length": str(MAX_VIDEO_BYTES + 1)}, TOO_LARGE),
        (200, {"content-length": "0"}, EMPTY),
        (200, {"content-length": "0", "content-type": "text/html"}, EMPTY),
        (416, {"content-length": "0", "content-range": "bytes */0"}, EMPTY),
        (416, {"content-length": "0", "content-range": "bytes */9"}, UNREACHABLE),
        (206, {"content-length": "1", "content-range": "bytes 0-0/9"}, None),
        (
            206,
            {
                "content-length": "1",
                "content-range": f"bytes 0-0/{MAX_VIDEO_BYTES + 1}",
            },
            TOO_LARGE,
        ),
        (206, {"content-length": "1", "content-range": "bytes 0-0/*"}, None),
        (200, {"content-length": "many"}, None),
        (200, {"content-length": "²"}, None),
    ],
)
def test_what_a_videos_address_answers_is_judged_as_tiktok_would(
    status: int, headers: dict[str, str], problem: ReadinessProblem | None
) -> None:
    """No redirect, a video as far as it says, and not too large."""
    assert asset_problem(status, headers) == problem


@pytest.mark.parametrize(
    ("error_class", "code", "problem"),
    [
        (ErrorClass.AUTH, "account_not_connected", NO_ACCOUNT),
        (ErrorClass.AUTH, "reconnect_required", RECONNECT),
        (ErrorClass.AUTH, "invalid_grant", RECONNECT),
        (ErrorClass.TRANSIENT, "internal_error", NOT_REFRESHED),
        (ErrorClass.PERMANENT, "client_not_configured", NOT_REFRESHED),
    ],
)
def test_a_grant_that_gives_no_token_is_a_problem(
    error_class: ErrorClass, code: str, problem: ReadinessProblem
) -> None:
    """The problem says whether a person has to act."""
    fault = Fault(error_class=error_class, code=code, message="")
    assert grant_problem(fault) == problem


@pytest.mark.parametrize(
    ("mode", "scopes", "problem"),
    [
        (PostMode.DIRECT, ("video.publish",), None),
        (PostMode.DIRECT, ("video.upload",), SCOPE_MISSING),
        (PostMode.INBOX, ("video.upload",), None),
        (PostMode.INBOX, ("video.publish",), SCOPE_MISSING),
        (PostMode.DIRECT, (), None),
    ],
)
def test_each_way_to_post_needs_its_own_permission(
    mode: PostMode, scopes: tuple[str, ...], problem: ReadinessProblem | None
) -> None:
    """Where it is not known what was allowed, nothing is claimed."""
    assert scope_problem(Post(mode=mode), scopes) == problem


def test_an_audience_that_is_not_offered_is_a_problem() -> None:
    """Each creator is offered some of TikTok's audiences."""
    post = Post(privacy_level=PrivacyLevel.SELF_ONLY)
    assert privacy_problem(post, ["SELF_ONLY", "FOLLOWER_OF_CREATOR"]) is None
    assert privacy_problem(post, ["FOLLOWER_OF_CREATOR"]) == PRIVACY_NOT_OFFERED


@pytest.mark.parametrize(
    ("error_class", "code", "found"),
    [
        (ErrorClass.AUTH, "access_token_invalid", "reconnect_required"),
        (ErrorClass.AUTH, "scope_not_authorized", "scope_missing"),
        (ErrorClass.RATE_LIMIT, "spam_risk_too_many_posts", "spam_risk_too_many_posts"),
        (ErrorClass.RATE_LIMIT, "reached_active_user_cap", "reached_active_user_cap"),
        (
            ErrorClass.PERMANENT,
            "spam_risk_user_banned_from_posting",
            "spam_risk_user_banned_from_posting",
        ),
        (ErrorClass.RATE_LIMIT, "rate_limit_exceeded", None),
        (ErrorClass.TRANSIENT, "internal_error", None),
    ],
)
def test_only_what_lasts_is_a_problem_of_the_account(
    error_class: ErrorClass, code: str, found: str | None
) -> None:
    """TikTok's moods at the moment say nothing about an hour from now."""
    problem = creator_problem(Fault(error_class=error_class, code=code, message=""))
    assert (problem.code if problem else None) == found


def test_ready_is_who_has_no_problem() -> None:
    """One problem is enough."""
    assert Readiness(NOW).ok
    assert not FOUND.ok
