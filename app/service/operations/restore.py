"""What to do before anything runs on a restored backup."""

from typing import Final

from app.domain.jobs.hold import Hold
from app.machine.clock import Clock
from app.store.jobs.holds import HoldStore
from app.store.jobs.restored import RestoreStore

REASON: Final = "restored from a backup: what was posted since is not known here"


class RestoreService:
    """Stops jobs that may have been posted after the backup."""

    def __init__(self, store: RestoreStore, holds: HoldStore, clock: Clock) -> None:
        self._store = store
        self._holds = holds
        self._clock = clock

    async def count(self) -> int:
        """Return how many jobs may have been posted since the backup."""
        return await self._store.count(now=self._clock.now())

    async def hold(self) -> int:
        """End these as unconfirmed and hold all others; return how many were ended.

        The hold comes first, so that a running runner begins nothing meanwhile.
        """
        now = self._clock.now()
        hold = Hold(project_id=None, reason=REASON, until=None)
        await self._holds.put(hold, now=now)
        return await self._store.hold(now=now)
