"""Renew the leases of running attempts after the machine's clock was set."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

import structlog

from app.runner.attempts.dependencies import Dependencies
from app.runner.attempts.live_effects import LiveEffects

log = structlog.get_logger(__name__)

_NONE: Final = timedelta(0)


class ClockCare:
    """Lets a process keep its claims when its clock is set.

    If the clock is set forward by an hour, every lease would be over: the process would
    take its own jobs for abandoned, and drop TikTok's answers to their inits. If it is
    set back, leases would last an hour longer.
    """

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps
        self._unsettled = _NONE

    async def settle(self, attempts: Iterable[LiveEffects]) -> timedelta | None:
        """Renew the leases of our attempts if the clock was set; return by how much.

        Raises StoreUnavailable; the next call tries again.
        """
        deps = self._deps
        if deps.clock_jumps is None:
            return None
        jump = deps.clock_jumps.look()
        if jump is not None:
            log.warning("the clock was set", seconds=round(jump.total_seconds(), 3))
            self._unsettled += jump
            deps.pacer.forget()
            deps.creators.forget()
        if self._unsettled:
            await self._renew(attempts)
        return jump

    async def _renew(self, attempts: Iterable[LiveEffects]) -> None:
        """Renew the leases that the database confirms as ours."""
        claims, now = self._deps.claims, self._deps.clock.now()
        by_token: dict[str, list[LiveEffects]] = defaultdict(list)
        for attempt in attempts:
            by_token[attempt.claim_token].append(attempt)
        kept: set[str] = set()
        for token, owned in by_token.items():
            ids = [attempt.job_id for attempt in owned]
            kept |= await claims.renew(ids, token, now=now)
        for attempt in (each for owned in by_token.values() for each in owned):
            if attempt.job_id in kept:
                attempt.renewed(until=now + claims.lease, jump=self._unsettled)
        self._unsettled = _NONE
