"""TikTok's limits per account, as a sliding log."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.accounts.quota import (
    IDLE,
    QUEUE_TURNS,
    SKEW,
    WINDOW,
    Permits,
    QuotaCall,
    Use,
    turn_at,
)
from app.domain.codes import cap_of
from app.domain.jobs.job import WaitingFor
from tests.domain.jobs.sample import NOW

LIMITS = {QuotaCall.CREATOR_INFO: 20, QuotaCall.INIT: 6, QuotaCall.STATUS: 30}
INIT, STATUS = QuotaCall.INIT, QuotaCall.STATUS
SPAN = WINDOW + SKEW
waits = st.lists(st.integers(0, 30_000), max_size=60)  # milliseconds between calls


@given(waits=waits, limit=st.integers(1, 6))
def test_no_minute_holds_more_calls_than_allowed(waits: list[int], limit: int) -> None:
    """However calls crowd, any sliding minute stays within the limit."""
    quota, now, made = IDLE, NOW, list[datetime]()
    for wait in waits:
        now += timedelta(milliseconds=wait)
        taken = quota.take({INIT: Permits()}, {**LIMITS, INIT: limit}, now)
        if taken is not None:
            quota, made = taken, [*made, now]
    for start in made:
        assert sum(start <= call < start + WINDOW for call in made) <= limit


takes = st.tuples(
    st.integers(0, 30_000),  # milliseconds since the take before
    st.lists(st.floats(0, 1), min_size=1, max_size=4),  # when each permit is used
    st.integers(0, 90_000),  # milliseconds for which they may be
)


@given(takes=st.lists(takes, max_size=40), limit=st.integers(1, 6))
def test_nor_do_permits_that_were_kept_for_later(
    takes: list[tuple[int, list[float], int]], limit: int
) -> None:
    """Whenever in its time a permit is used, the minutes around it are not too full."""
    quota, now, made = IDLE, NOW, list[datetime]()
    for wait, shares, millis in takes:
        now += timedelta(milliseconds=wait)
        usable = timedelta(milliseconds=millis)
        wish = {STATUS: Permits(len(shares), usable)}
        taken = quota.take(wish, {**LIMITS, STATUS: limit}, now)
        if taken is not None:
            quota = taken
            made += [now + usable * share for share in shares]
    for start in made:
        assert sum(start <= call < start + WINDOW for call in made) <= limit


@given(waits=waits)
def test_a_permit_is_free_exactly_when_it_is_said_to_be(waits: list[int]) -> None:
    """Who comes at that moment gets the permit, and a microsecond before it nobody."""
    quota, now = IDLE, NOW
    for wait in waits:
        now += timedelta(milliseconds=wait)
        quota = quota.take({INIT: Permits()}, LIMITS, now) or quota
    free = quota.free_at(INIT, LIMITS, now)
    assert quota.take({INIT: Permits()}, LIMITS, free) is not None
    early = free - timedelta(microseconds=1)
    if early >= now:
        assert quota.take({INIT: Permits()}, LIMITS, early) is None


def test_permits_are_taken_together_or_not_at_all() -> None:
    """An init without room for its polls would end blind."""
    full = IDLE.take({STATUS: Permits(25)}, LIMITS, NOW)
    assert full is not None
    assert full.take({INIT: Permits(), STATUS: Permits(6)}, LIMITS, NOW) is None
    both = full.take({INIT: Permits(), STATUS: Permits(5)}, LIMITS, NOW)
    assert both is not None
    assert (both.taken(INIT, NOW), both.taken(STATUS, NOW)) == (1, 30)
    assert both.taken(QuotaCall.CREATOR_INFO, NOW) == 0


def test_a_permit_for_later_use_counts_until_a_minute_after() -> None:
    """A call may be made at the last moment of its permit, and then counts as long."""
    quota = IDLE.take({STATUS: Permits(2, timedelta(seconds=90))}, LIMITS, NOW)
    assert quota is not None
    assert quota.uses == {STATUS: (Use(NOW + timedelta(seconds=90) + SPAN, 2),)}
    assert quota.idle_at() == NOW + timedelta(seconds=90) + SPAN
    assert IDLE.idle_at() is None


def test_what_is_over_is_forgotten() -> None:
    """The log holds a minute's calls, not an account's history."""
    quota = IDLE.take({INIT: Permits()}, LIMITS, NOW)
    assert quota is not None
    later = quota.take({STATUS: Permits()}, LIMITS, NOW + SPAN)
    assert later is not None
    assert set(later.uses) == {STATUS}
    assert quota.taken(INIT, NOW + SPAN - timedelta(microseconds=1)) == 1


def test_a_queue_gets_its_turns_one_minute_apart() -> None:
    """Each window takes as many as the limit allows, in order."""
    turns = [turn_at(NOW, position, 2) for position in range(5)]
    assert turns == [NOW, NOW, NOW + SPAN, NOW + SPAN, NOW + 2 * SPAN]


def test_a_long_line_is_told_its_turns_only_so_far() -> None:
    """Who is told the last turn asks again then, in case the line got shorter."""
    assert turn_at(NOW, QUEUE_TURNS - 1, 1) == NOW + (QUEUE_TURNS - 1) * SPAN
    assert turn_at(NOW, 10_000, 1) == NOW + (QUEUE_TURNS - 1) * SPAN


@pytest.mark.parametrize(
    ("code", "cap"),
    [
        ("spam_risk_too_many_posts", WaitingFor.ACCOUNT_CAP),
        ("spam_risk_too_many_pending_share", WaitingFor.ACCOUNT_CAP),
        ("reached_active_user_cap", WaitingFor.APP_CAP),
        ("rate_limit_exceeded", None),
        ("spam_risk_user_banned_from_posting", None),
    ],
)
def test_a_cap_is_told_from_limits_and_bans(code: str, cap: WaitingFor | None) -> None:
    """Only what passes within a day lets a job wait for days."""
    assert cap_of(code) is cap
