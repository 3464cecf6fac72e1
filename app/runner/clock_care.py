"""What a runner does when the machine's clock was set, before it claims anything."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

import structlog

from app.runner.attempts.live_effects import Dependencies, LiveEffects

log = structlog.get_logger(__name__)

_NONE: Final = timedelta(0)


class ClockCare:
    """Lets a process keep what it has claimed, whatever its clock is set to.

    Put forward by an hour, every lease would be over: it would take its own jobs for
    abandoned, and drop what TikTok answers to their inits. Put back, they would last
    an hour longer.
    """

    def __init__(self, deps: Dependencies) -> None:
        self._deps = deps
        self._unsettled = _NONE

    async def settle(self, attempts: Iterable[LiveEffects]) -> timedelta | None:
        """Begin the leases of our attempts anew if the clock was set; return by what.

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
        """Ask the database whose a job is before its lease is believed again."""
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
