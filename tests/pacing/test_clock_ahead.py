"""Permits and rests that only a wrong clock can have written hold nobody up."""

from datetime import timedelta

import pytest

from app.domain.accounts.quota import IDLE, LONGEST_USE, WINDOW, Permits
from app.domain.jobs.job import WaitingFor
from app.domain.jobs.outcome import PutOff
from app.pacing.pacer import Pacer
from app.store.accounts.quotas import QuotaStore
from app.store.db.engine import Database
from tests.pacing.pacers import INIT, LIMITS, HandClock, user
from tests.support.factories import NOW

DAY = 86_400
LONGEST = timedelta(hours=1)


def pacer(database: Database, clock: HandClock) -> Pacer:
    """Give one process's pacer that knows how long a rest may be."""
    return Pacer(QuotaStore(database), clock, LIMITS, longest_rest=LONGEST)


async def used_up(database: Database, clock: HandClock) -> None:
    """Take all inits of an account."""
    one = pacer(database, clock)
    while not isinstance(await one.acquire(user(), INIT), PutOff):
        pass


async def test_permits_of_a_day_ahead_are_free_after_a_minute(
    database: Database, clock: HandClock
) -> None:
    """Not after a day, and not at once: the calls may just have been made."""
    clock.go_on(DAY)
    await used_up(database, clock)
    clock.go_on(-DAY)
    one = pacer(database, clock)
    wait = await one.acquire(user(), INIT)
    assert isinstance(wait, PutOff)
    assert timedelta(0) < wait.until - clock.now() <= LONGEST_USE
    clock.go_on((wait.until - clock.now()).total_seconds())
    assert not isinstance(await one.acquire(user(waited=True), INIT), PutOff)


@pytest.mark.parametrize(
    "reason", [WaitingFor.ACCOUNT_CAP, WaitingFor.APP_CAP], ids=["account", "app"]
)
async def test_a_rest_of_a_day_ahead_is_no_longer_than_any(
    database: Database, clock: HandClock, reason: WaitingFor
) -> None:
    """Looked at again and again, it does end."""
    clock.go_on(DAY)
    ahead = clock.now() + LONGEST
    await pacer(database, clock).rest(user(), until=ahead, reason=reason)
    clock.go_on(-DAY)
    one = pacer(database, clock)
    wait = await one.acquire(user(), INIT)
    assert isinstance(wait, PutOff)
    assert wait.until == clock.now() + LONGEST
    clock.go_on(LONGEST.total_seconds() / 2)
    assert await pacer(database, clock).acquire(user(), INIT) == wait
    clock.go_on(LONGEST.total_seconds() / 2)
    assert not isinstance(await pacer(database, clock).acquire(user(), INIT), PutOff)


async def test_a_process_whose_clock_goes_back_forgets_what_it_saw(
    database: Database, clock: HandClock
) -> None:
    """Turns that it gave out by the old time would be far away by the new one."""
    clock.go_on(DAY)
    one = pacer(database, clock)
    while not isinstance(await one.acquire(user(), INIT), PutOff):
        pass
    clock.go_on(-DAY)
    one.forget()
    wait = await one.acquire(user(), INIT)
    assert isinstance(wait, PutOff)
    assert wait.until - clock.now() <= LONGEST_USE


def test_what_a_right_clock_wrote_is_left_alone() -> None:
    """The longest use is one that is taken ahead for a whole window."""
    quota = IDLE.take({INIT: Permits(1, WINDOW)}, LIMITS, NOW)
    assert quota is not None
    assert quota.mended(NOW) == quota
