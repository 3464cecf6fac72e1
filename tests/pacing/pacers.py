"""Pacers as processes have them: one database, one clock that is set by hand."""

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from app.domain.accounts.quota import WINDOW, Limits, QuotaCall
from app.domain.jobs.outcome import PutOff
from app.pacing.pacer import Pacer, QuotaUser
from app.store.accounts.quotas import Owner, QuotaStore
from app.store.db.engine import Database
from tests.support.factories import NOW

LIMITS: Final = {QuotaCall.CREATOR_INFO: 20, QuotaCall.INIT: 6, QuotaCall.STATUS: 30}
INIT: Final = QuotaCall.INIT
STATUS: Final = QuotaCall.STATUS
CREATOR: Final = QuotaCall.CREATOR_INFO


class HandClock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self._now = NOW

    def now(self) -> datetime:
        """Return the current time."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Let the time pass at once."""
        self.go_on(seconds)
        await asyncio.sleep(0)

    def go_on(self, seconds: float) -> None:
        """Put the clock forward."""
        self._now += timedelta(seconds=seconds)


def pacer(
    database: Database,
    clock: HandClock,
    *,
    limits: Limits = LIMITS,
    window: timedelta = WINDOW,
) -> Pacer:
    """Give one process's pacer."""
    return Pacer(QuotaStore(database), clock, limits, window=window)


def user(name: str = "1", *, waited: bool = False, alone: bool = False) -> QuotaUser:
    """Give who calls for an account; each account has a project of its name."""
    owner = Owner("tiktok", f"open_{name}")
    return QuotaUser(f"proj_{name}", owner, waited=waited, alone=alone)


async def postponed(
    one: Pacer, quota_user: QuotaUser, call: QuotaCall
) -> PutOff | None:
    """Take a permit, or give until when the call is put off."""
    permit = await one.acquire(quota_user, call)
    return permit if isinstance(permit, PutOff) else None


def most_in_a_window(calls: Iterable[datetime], window: timedelta) -> int:
    """Count the calls in the fullest window that begins with one."""
    made = sorted(calls)
    return max(
        (sum(start <= each < start + window for each in made) for start in made),
        default=0,
    )
