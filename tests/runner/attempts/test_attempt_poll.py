"""An attempt after its init: polled until TikTok is done or the deadline comes."""

from datetime import timedelta

import pytest
from msgspec import structs
from msgspec.structs import replace

from app.domain.jobs.backoff import RetryPolicy
from app.domain.jobs.job import Job
from app.domain.jobs.lifecycle import decide
from app.domain.jobs.outcome import (
    AuthLost,
    Fault,
    HandedOn,
    InInbox,
    Outcome,
    Processing,
    Published,
    RateLimited,
    Rejected,
    Transient,
)
from app.runner.attempts.polling import PollPolicy
from app.tiktok.values import PublishState, PublishStatus
from tests.domain.jobs.sample import applied
from tests.runner.scripted import (
    ACCESS,
    BANNED,
    BLIP,
    COMPLETE,
    IN_INBOX,
    LIMITED,
    NEW,
    POLL,
    PROCESSING,
    RESUMED,
    SENT,
    SLOT,
    after,
    fault,
    run,
)

Failure = Transient | RateLimited | Rejected | AuthLost

EVERY_5_SECONDS = [float(at) for at in range(5, 95, 5)]
NOT_DONE = Processing(publish_id="pub-1")


def failed(reason: str | None) -> PublishStatus:
    """Answer that TikTok gave the post up."""
    return PublishStatus(
        state=PublishState.FAILED, fail_reason=reason, log_id="log-fail"
    )


async def test_tiktok_is_asked_every_5_seconds_for_90() -> None:
    """The last question falls on the deadline, then the attempt is over."""
    outcome, world = await run(NEW, status=[PROCESSING])
    assert outcome == NOT_DONE
    assert world.at("status") == EVERY_5_SECONDS
    assert world.now() == after(90)


async def test_the_first_answer_that_says_so_ends_it() -> None:
    """Nobody asks on after the end."""
    outcome, world = await run(NEW, status=[PROCESSING, PROCESSING, COMPLETE])
    assert outcome == Published(
        publish_id="pub-1",
        post_id="71",
        post_ids=("71",),
        post_url="https://www.tiktok.com/@cat/video/71",
        log_id="log-done",
        http_status=200,
    )
    assert world.at("status") == [5, 10, 15]
    assert world.names == [*SENT, *POLL * 3]


async def test_a_public_id_may_come_later() -> None:
    """A post without a public id is posted all the same."""
    outcome, _ = await run(NEW, status=[structs.replace(COMPLETE, post_ids=())])
    assert outcome == Published(publish_id="pub-1", log_id="log-done", http_status=200)


async def test_a_draft_in_the_inbox_is_told_apart() -> None:
    """Delivered is not published."""
    outcome, _ = await run(NEW, status=[IN_INBOX])
    assert outcome == InInbox(publish_id="pub-1", log_id="log-inbox", http_status=200)


async def test_the_deadline_counts_from_the_init() -> None:
    """Earlier steps and a slow init take nothing from the deadline."""
    slow = {"access": 7.0, "creator_info": 8.0, "init": 9.0}
    outcome, world = await run(NEW, status=[PROCESSING], takes=slow)
    assert outcome == NOT_DONE
    assert world.at("status") == [24 + at for at in EVERY_5_SECONDS]
    assert world.now() == after(24 + 90)


async def test_slow_answers_make_fewer_questions() -> None:
    """5 seconds lie between an answer and the next question; no answer is late."""
    outcome, world = await run(NEW, status=[PROCESSING], takes={"status": 3})
    assert outcome == NOT_DONE
    assert world.at("status") == [float(at) for at in range(5, 91, 8)]
    assert world.now() == after(90)


async def test_a_resumed_publish_is_asked_at_once() -> None:
    """The id is known, so no init, no check, and no wait for a first answer."""
    outcome, world = await run(RESUMED)
    assert isinstance(outcome, Published)
    assert world.names == ["access", *POLL]
    assert world.at("status") == [0]


async def test_a_resumed_publish_has_90_seconds_of_its_own() -> None:
    """They count from the beginning of the attempt that resumes it."""
    job = replace(RESUMED, publish_started_at=after(-3600))
    outcome, world = await run(job, status=[PROCESSING])
    assert outcome == NOT_DONE
    assert world.at("status") == [0, *EVERY_5_SECONDS]


async def test_an_attempt_handed_on_has_what_is_left_of_its_90_seconds() -> None:
    """Passing from tick to tick gains an attempt no time."""
    job = replace(RESUMED, attempt_started_at=after(-65), publish_started_at=after(-60))
    outcome, world = await run(job, status=[PROCESSING])
    assert outcome == NOT_DONE
    assert world.at("status") == [0, 5, 10, 15, 20, 25, 30]


@pytest.mark.parametrize(
    ("answer", "outcome", "asked"),
    [(PROCESSING, Processing, [0, 5]), (COMPLETE, Published, [0])],
)
async def test_however_late_tiktok_is_asked(
    answer: PublishStatus, outcome: type, asked: list[float]
) -> None:
    """A deadline that passed while nobody worked does not judge a post unasked."""
    job = replace(
        RESUMED, attempt_started_at=after(-900), publish_started_at=after(-800)
    )
    came_to, world = await run(job, status=[answer])
    assert isinstance(came_to, outcome)
    assert world.at("status") == asked


@pytest.mark.parametrize(
    "trouble",
    [BLIP, LIMITED, BANNED, fault("invalid_publish_id"), fault()],
    ids=lambda fault: fault.code,
)
async def test_an_error_of_a_status_call_ends_nothing(trouble: Fault) -> None:
    """It says nothing of the post, whatever its class: ask again."""
    outcome, world = await run(NEW, status=[trouble, PROCESSING, trouble, COMPLETE])
    assert isinstance(outcome, Published)
    assert world.at("status") == [5, 10, 15, 20]
    assert world.names == [*SENT, *POLL * 4]


@pytest.mark.parametrize("trouble", [BLIP, LIMITED, BANNED])
async def test_errors_until_the_deadline_are_told(trouble: Fault) -> None:
    """The job keeps its id and says what the last question met."""
    outcome, world = await run(NEW, status=[PROCESSING, trouble])
    assert outcome == Processing(publish_id="pub-1", fault=trouble)
    assert world.at("status") == EVERY_5_SECONDS


async def test_an_error_that_passed_is_forgotten() -> None:
    """A job that is still processing at the deadline does not show an old error."""
    outcome, _ = await run(NEW, status=[BLIP, PROCESSING])
    assert outcome == NOT_DONE


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        ("internal", Transient),
        ("video_pull_failed", Transient),
        ("spam_risk_too_many_posts", RateLimited),
        ("file_format_check_failed", Rejected),
        ("a_reason_of_the_future", Rejected),
        (None, Rejected),
        ("auth_removed", AuthLost),
    ],
)
async def test_failed_ends_the_attempt_by_its_reason(
    reason: str | None, outcome: type[Failure]
) -> None:
    """A publish that failed for good is not in flight: a retry may send a new init."""
    came_to, world = await run(NEW, status=[PROCESSING, failed(reason)])
    assert isinstance(came_to, outcome)
    assert (came_to.in_flight, came_to.fault.log_id) == (False, "log-fail")
    assert came_to.fault.code == (reason or "no_fail_reason")
    assert world.at("status") == [5, 10]
    assert ("lost" in world.names) == (outcome is AuthLost)


async def test_only_a_failed_publish_is_sent_again() -> None:
    """After FAILED the next attempt begins anew, after a deadline it resumes."""
    given_up, world = await run(NEW, status=[failed("internal")])
    _, again = await run(retried(world.row, given_up))
    assert again.names[:5] == SENT[:5]
    not_done, world = await run(NEW, status=[PROCESSING])
    _, again = await run(retried(world.row, not_done))
    assert again.names == ["access", *POLL]


def retried(job: Job, outcome: Outcome) -> Job:
    """Claim a job again after an attempt."""
    change = decide(
        job, outcome, now=after(90), policy=RetryPolicy(), random=lambda: 0.0
    )
    assert change.to == "retrying"
    return replace(
        applied(job, change), status=NEW.status, attempt_started_at=after(120)
    )


async def test_a_question_waits_for_its_place_in_the_quota() -> None:
    """The next one comes when the quota says so, and no other before."""
    outcome, world = await run(
        NEW, permit_status=[None, SLOT, None], status=[PROCESSING, COMPLETE]
    )
    assert isinstance(outcome, Published)
    assert world.at("status") == [5, 40]


async def test_waiting_for_a_place_uses_none_of_the_time() -> None:
    """A question nobody could ask was not answered too late."""
    late = replace(SLOT, until=after(91))
    turns = [None, late, None]
    outcome, world = await run(NEW, permit_status=turns, status=[PROCESSING])
    assert outcome == NOT_DONE
    polls = world.at("status")
    assert polls[:2] == [5, 91]
    assert (len(polls), polls[-1]) == (18, 171)


async def test_who_waits_for_a_place_can_be_handed_on() -> None:
    """The wait is not charged to the attempt that continues it."""
    late = replace(SLOT, until=after(70))
    outcome, world = await run(
        NEW, permit_status=[None, late], status=[PROCESSING], until=50.0
    )
    assert outcome == HandedOn(resume_at=after(70), polling_since=after(60))
    assert world.at("status") == [5]


@pytest.mark.parametrize("until", [12.0, 15.0])
async def test_out_of_time_between_two_questions_the_job_is_handed_on(
    until: float,
) -> None:
    """The next worker asks when this one would have."""
    outcome, world = await run(NEW, status=[PROCESSING], until=until)
    assert outcome == HandedOn(resume_at=after(15), polling_since=after(0))
    assert world.at("status") == [5, 10]
    assert world.row.publish_id == "pub-1"


async def test_out_of_time_before_the_first_question_nothing_is_asked() -> None:
    """A resumed job goes back as it came."""
    outcome, world = await run(RESUMED, hurried_after="access")
    assert isinstance(outcome, HandedOn)
    assert outcome.resume_at == after(0)
    assert world.names == ["access"]
    assert world.row == RESUMED


async def test_out_of_time_at_the_deadline_is_no_attempt() -> None:
    """Who is stopped in the last wait hands on instead of judging."""
    outcome, _ = await run(NEW, status=[PROCESSING], takes={"status": 2}, until=89.5)
    assert outcome == HandedOn(resume_at=after(90), polling_since=after(0))


async def test_a_resumed_post_is_named_by_the_accounts_row() -> None:
    """Nobody asked creator_info this time."""
    outcome, _ = await run(RESUMED)
    assert isinstance(outcome, Published)
    assert outcome.post_url == "https://www.tiktok.com/@stored_name/video/71"


async def test_without_a_name_there_is_no_url() -> None:
    """An id alone makes no address."""
    outcome, _ = await run(RESUMED, access=[structs.replace(ACCESS, username=None)])
    assert isinstance(outcome, Published)
    assert (outcome.post_id, outcome.post_url) == ("71", None)


async def test_the_pace_is_a_setting() -> None:
    """Interval and deadline come from outside."""
    pace = PollPolicy(interval=timedelta(seconds=2), deadline=timedelta(seconds=7))
    outcome, world = await run(NEW, poll=pace, status=[PROCESSING])
    assert outcome == NOT_DONE
    assert world.at("status") == [2, 4, 6]
    assert world.now() == after(7)


def downloading(*counts: int | None) -> list[PublishStatus]:
    """Answer that TikTok has fetched so many bytes."""
    return [
        PublishStatus(state=PublishState.PROCESSING, downloaded_bytes=count)
        for count in counts
    ]


async def test_a_pull_that_visibly_goes_on_is_handed_on() -> None:
    """4 GB take TikTok over five minutes; that is no failure."""
    outcome, world = await run(NEW, status=downloading(*range(0, 1_000_000, 1000)))
    assert outcome == HandedOn(resume_at=after(90), polling_since=after(90))
    assert world.at("status") == EVERY_5_SECONDS


@pytest.mark.parametrize(
    "counts",
    [
        (0,),
        (None,),
        (5000,),
        (5000, 4000),
        (0, 1000, 1000),
    ],
    ids=["nothing", "not told", "stands still", "falls", "grew long ago"],
)
async def test_a_pull_that_stands_still_is_not(counts: tuple[int | None, ...]) -> None:
    """Only what grew of late goes on."""
    outcome, _ = await run(NEW, status=downloading(*counts))
    assert outcome == NOT_DONE


async def test_no_pull_goes_on_for_longer_than_an_hour() -> None:
    """TikTok gives up by then, so we need not wait for it."""
    growing = downloading(*range(0, 1_000_000, 1000))
    long_ago = replace(RESUMED, init_sent_at=after(-3600))
    outcome, _ = await run(long_ago, status=growing)
    assert outcome == NOT_DONE
    in_time = replace(RESUMED, init_sent_at=after(-3000))
    outcome, _ = await run(in_time, status=growing)
    assert isinstance(outcome, HandedOn)
