"""What to do before anything runs on a restored backup."""

from datetime import timedelta
from typing import Final

import structlog
from msgspec import Struct

from app.domain.jobs.hold import Hold
from app.machine.clock import Clock
from app.store.jobs.holds import HoldStore
from app.store.jobs.recovery.restored import RestoreStore
from app.store.last_seen import InstallationStore, LastSeen

log = structlog.get_logger(__name__)

REASON: Final = "restored from a backup: what was posted since is not known here"


class RestoreService(Struct, frozen=True, kw_only=True):
    """Stops jobs that may have been posted after the backup."""

    store: RestoreStore
    holds: HoldStore
    clock: Clock
    installations: InstallationStore
    last_seen: LastSeen

    async def count(self) -> int:
        """Return how many jobs may have been posted since the backup."""
        return await self.store.count(now=self.clock.now())

    async def hold(self) -> int:
        """End these as unconfirmed and hold all others; return how many were ended.

        The hold comes first, so that a running runner begins nothing meanwhile.
        """
        now = self.clock.now()
        hold = Hold(project_id=None, reason=REASON, until=None)
        await self.holds.put(hold, now=now)
        count = await self.store.end_doubtful(now=now)
        if (found := await self.installations.look()) is not None:
            self.last_seen.forget(found.name)
        return count

    async def hold_if_unannounced(self, *, lag: timedelta = timedelta(0)) -> int | None:
        """Hold if the database forgot what this machine wrote; None if it did not.

        What it forgot of the last ``lag`` does not count. Then somebody restored a
        backup and did not say so. Raises StoreUnavailable.
        """
        found = await self.installations.look()
        ours = None if found is None else self.last_seen.read(found.name)
        if found is None or ours is None:
            return None
        if found.seen_at is not None and found.seen_at >= ours - lag:
            return None
        log.error(
            "the database lacks what this machine wrote: a backup was restored",
            database_knows=found.seen_at and found.seen_at.isoformat(),
            written_here=ours.isoformat(),
        )
        return await self.hold()
