"""A job whose workers are struck at every step: one post at most, and always an end.

Each plan is lived once undisturbed, then once for every step and everything that can
happen there.
"""

from collections.abc import Iterator

import pytest

from app.domain.jobs.job import FailureReason, JobStatus
from tests.runner.fates import Event, Planned
from tests.runner.imagined import Ending
from tests.runner.lives import Life

PLANS: dict[str, Planned] = {
    "all goes well": Planned(),
    "no token for now": Planned({"access": ["blip"]}),
    "no place in the quota": Planned({"permit": ["late", "ok", "soon", "late"]}),
    "a stale token at creator_info": Planned({"creator_info": ["refused"]}),
    "creator_info breaks": Planned({"creator_info": ["blip"]}),
    "the creator is capped": Planned({"creator_info": ["capped"]}),
    "a stale token at init": Planned({"init": ["refused"]}),
    "a dead token at init": Planned({"init": ["refused", "refused"]}),
    "no new token at init": Planned({"init": ["refused"], "renew": ["blip"]}),
    "init is limited": Planned({"init": ["limited"]}),
    "init fails with an answer": Planned({"init": ["blip"]}),
    "init is not sent": Planned({"init": ["unsent"]}),
    "init is taken, its answer lost": Planned({"init": ["lost_taken"]}),
    "init is not taken, its answer lost": Planned({"init": ["lost_untaken"]}),
    "init arrives late": Planned({"init": ["lost_and_late"]}),
    "a stale token at status": Planned({"status": ["refused"]}),
    "a dead token at status": Planned({"status": ["refused", "refused"]}),
    "status breaks": Planned({"status": ["blip", "limited", "banned"]}),
    "TikTok needs long": Planned(ends=[Ending.LATER]),
    "TikTok never ends": Planned(ends=[Ending.NEVER]),
    "TikTok fails once": Planned(ends=[Ending.BROKEN, Ending.SOON]),
    "TikTok fails always": Planned(ends=[Ending.BROKEN]),
    "TikTok refuses the video": Planned(ends=[Ending.BANNED]),
    "access is revoked": Planned(ends=[Ending.REVOKED]),
    "TikTok fails, then a stale token": Planned(
        {"init": ["ok", "refused"]}, ends=[Ending.BROKEN, Ending.SOON]
    ),
    "TikTok fails, then an answer is lost": Planned(
        {"init": ["ok", "lost_taken"]}, ends=[Ending.BROKEN, Ending.SOON]
    ),
    "hurried before the init": Planned({"hurried": ["yes"]}),
    "hurried after the stamp": Planned({"hurried": ["ok", "yes"]}),
    "hurried at the first poll": Planned({"hurried": ["ok", "ok", "yes"]}),
}

each_plan = pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)


def lived(plan: Planned, *, gateway: bool = False) -> Life:
    """Live a plan to its end, which checks itself."""
    life = Life(plan, gateway=gateway)
    life.live()
    return life


def struck(plan: Planned, what: Event, *, gateway: bool = False) -> Iterator[Life]:
    """Live a plan once for each of its steps, struck there."""
    untouched = Planned(plan.answers, ends=plan.ends)
    lived(untouched, gateway=gateway)
    for at in range(untouched.steps):
        strike = Planned(plan.answers, at=at, what=what, ends=plan.ends)
        yield lived(strike, gateway=gateway)


@each_plan
@pytest.mark.parametrize("what", [each for each in Event if each is not Event.GO])
def test_whatever_strikes_at_any_step_there_is_one_post_and_an_end(
    plan: Planned, what: Event
) -> None:
    """TikTok takes an init only while no earlier one of the job can succeed."""
    assert list(struck(plan, what))
    assert list(struck(plan, what, gateway=True))


def test_a_death_before_the_stamp_costs_one_attempt() -> None:
    """Nothing was sent, so the job goes on and is posted."""
    before = [life for life in struck(Planned(), Event.KILL) if posted(life)]
    assert before
    assert {life.row.job.attempts for life in before} <= {0, 1}
    assert all(len(life.tiktok.taken) == 1 for life in before)


def test_a_death_is_in_doubt_only_between_stamp_and_id() -> None:
    """At four steps nobody can know; at all others the job is posted."""
    ends = [life.row.job.failure_reason for life in struck(Planned(), Event.KILL)]
    # After the stamp, before and after the init, before the id is written.
    assert ends.count(FailureReason.UNCONFIRMED) == 4
    assert ends.count(None) == len(ends) - 4


def test_a_withdrawn_video_ends_the_doubt() -> None:
    """Of these four, two died before TikTok could come for the video: both go on."""
    lives = list(struck(Planned(), Event.KILL, gateway=True))
    ends = [life.row.job.failure_reason for life in lives]
    assert ends.count(FailureReason.UNCONFIRMED) == 2
    assert ends.count(None) == len(ends) - 2


def test_a_stop_costs_nothing() -> None:
    """A worker told to stop hands on at any wait, and no attempt is counted."""
    for life in struck(Planned(), Event.STOP):
        if posted(life):
            assert life.row.job.attempts == 0
            assert len(life.row.ledger) == 1


def posted(life: Life) -> bool:
    """Tell whether the job ended well."""
    return life.row.job.status is JobStatus.POSTED
