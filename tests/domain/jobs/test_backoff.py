"""When a failed attempt is repeated."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.jobs.backoff import JITTER, RetryPolicy, UnconfirmedInit
from tests.domain.jobs.sample import chance, policies, seconds

MICROSECOND = timedelta(microseconds=1)  # timedelta rounds to it


def test_the_default_schedule_is_the_documented_one() -> None:
    """30 s, 2 min, 10 min, 30 min, then an hour: the last step meets the cap."""
    policy = RetryPolicy()
    delays = [policy.base_delay(attempts) for attempts in range(7)]
    assert delays == [30, 120, 600, 1800, 3600, 3600, 3600]
    assert policy.unconfirmed is UnconfirmedInit.HOLD


@given(policy=policies, attempts=st.integers(0, 100), random=chance)
def test_a_delay_is_never_early_and_at_most_a_tenth_late(
    policy: RetryPolicy, attempts: int, random: float
) -> None:
    """The schedule's capped step is the earliest time, ten per cent more the latest."""
    step = min(policy.steps[min(attempts, len(policy.steps) - 1)], policy.cap)
    delay = policy.delay(attempts, random=lambda: random)
    assert timedelta(seconds=step) <= delay
    assert delay <= timedelta(seconds=step * 1.1) + MICROSECOND


@given(policy=policies, attempts=st.integers(0, 100), random=chance, asked=seconds)
def test_tiktoks_wish_replaces_the_schedule_up_to_the_cap(
    policy: RetryPolicy, attempts: int, random: float, asked: float
) -> None:
    """Retry-After is kept to as far as the cap allows, with the same jitter."""
    wish = min(asked, policy.cap)
    delay = policy.delay(attempts, random=lambda: random, retry_after=asked)
    assert timedelta(seconds=wish) <= delay
    assert delay <= timedelta(seconds=wish * 1.1) + MICROSECOND


@pytest.mark.parametrize("asked", [0.0, -5.0])
def test_a_wish_for_no_wait_is_none(asked: float) -> None:
    """A Retry-After that is over means at once, never a time in the past."""
    delay = RetryPolicy().delay(0, random=lambda: 0.999, retry_after=asked)
    assert delay == timedelta(0)


@given(
    steps=st.lists(seconds, min_size=1).map(sorted).map(tuple),
    cap=seconds,
    attempts=st.integers(0, 100),
)
def test_the_waits_never_get_shorter(
    steps: tuple[float, ...], cap: float, attempts: int
) -> None:
    """A rising schedule gives rising waits, capped or not."""
    policy = RetryPolicy(steps=steps, cap=cap)
    assert policy.base_delay(attempts) <= policy.base_delay(attempts + 1) <= cap


def test_the_jitter_spreads_the_whole_tenth() -> None:
    """The stretch follows the random number from nothing to a tenth."""
    policy = RetryPolicy(steps=(100,))
    spread = [policy.delay(0, random=lambda r=r: r) for r in (0.0, 0.5, 1.0)]  # type: ignore[misc]
    assert spread == [timedelta(seconds=s) for s in (100, 105, 110)]
    assert pytest.approx(0.1) == JITTER


def test_fractions_of_a_second_are_kept() -> None:
    """Short schedules, as the tests and the demo use them, are exact."""
    policy = RetryPolicy(steps=(0.05, 0.2))
    assert policy.delay(0, random=lambda: 0) == timedelta(milliseconds=50)
    assert policy.delay(1, random=lambda: 0) == timedelta(milliseconds=200)
