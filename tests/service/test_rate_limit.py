"""How many requests a key may make, and when it may go on."""

import pytest

from app.domain.errors import TooManyRequests
from app.service.caller_limits import RateLimit
from tests.api.serving import StandingClock


def test_a_key_has_its_minute_and_then_waits() -> None:
    """All at once if it likes; then one for each of its share of a minute."""
    clock = StandingClock()
    limit = RateLimit(6, clock)
    for _ in range(6):
        limit.take("one")
    with pytest.raises(TooManyRequests) as refused:
        limit.take("one")
    assert refused.value.retry_after == pytest.approx(10)
    clock.forward(seconds=9.9)
    with pytest.raises(TooManyRequests):
        limit.take("one")
    clock.forward(seconds=0.2)
    limit.take("one")


def test_one_key_costs_another_nothing() -> None:
    """Each has its own share."""
    limit = RateLimit(1, StandingClock())
    limit.take("one")
    limit.take("other")
    with pytest.raises(TooManyRequests):
        limit.take("one")


def test_a_clock_that_goes_back_gives_nothing_and_takes_nothing() -> None:
    """No key is locked out by it."""
    clock = StandingClock()
    limit = RateLimit(60, clock)
    limit.take("one")
    clock.forward(hours=-1)
    for _ in range(59):
        limit.take("one")
    clock.forward(seconds=2)
    limit.take("one")


def test_nought_is_no_limit() -> None:
    """A limit of 0 allows any number of requests."""
    limit = RateLimit(0, StandingClock())
    for _ in range(100):
        limit.take("one")
