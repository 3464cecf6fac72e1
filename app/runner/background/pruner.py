"""Delete old records in small batches that block nobody."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Final

import structlog
from msgspec import Struct

from app.machine.clock import Clock
from app.store.retention.pruning import FIRST_ID, Batch, Pruned, RetentionStore
from app.store.webhooks.endpoints import WebhookStore

log = structlog.get_logger(__name__)

STEP: Final = timedelta(minutes=50)
"""The least time between two passes, over all workers together."""

BATCH: Final = 200
"""How many rows one transaction deletes: a few milliseconds on either database."""

PAUSE_SECONDS: Final = 0.1
"""The pause between two batches."""

EVENTS_KEPT: Final = timedelta(days=30)
"""How long a frontend can list and replay its events."""

LEFTOVERS_KEPT: Final = timedelta(days=1)
"""How long rows are kept that mean nothing any more."""


class Pruner(Struct, frozen=True, kw_only=True):
    """Deletes by age; with ``keep`` None, records of jobs are kept for ever."""

    store: RetentionStore
    webhooks: WebhookStore
    clock: Clock
    keep: timedelta | None

    async def run_due(self) -> None:
        """Make one pass, unless a worker made one lately; raises StoreUnavailable.

        The next pass finishes one that is broken off.
        """
        await self._prune_leftovers()
        if self.keep is not None:
            await self._prune_records(self.keep)
        await self._prune_webhooks()

    async def _prune_leftovers(self) -> None:
        before = self.clock.now() - LEFTOVERS_KEPT
        if await self.store.begin(Pruned.LEFTOVERS, before=before, step=STEP):
            await self.store.prune_leftovers(before=before)

    async def _prune_records(self, keep: timedelta) -> None:
        before = self.clock.now() - keep
        if not await self.store.begin(Pruned.RECORDS, before=before, step=STEP):
            return
        jobs = await self._prune_all(partial(self.store.prune_jobs, before=before))
        events = await self._prune_all(partial(self.store.prune_events, before=before))
        log.info(
            "old records deleted",
            jobs=jobs,
            tiktok_events=events,
            before=before.isoformat(),
        )

    async def _prune_all(self, prune: Callable[..., Awaitable[Batch]]) -> int:
        """Delete in batches, with pauses in between; return how many."""
        count, last_id = 0, FIRST_ID
        while True:
            batch = await prune(after_id=last_id, limit=BATCH)
            count, last_id = count + batch.count, batch.last_id
            if batch.count < BATCH:
                return count
            await self.clock.sleep(PAUSE_SECONDS)

    async def _prune_webhooks(self) -> None:
        """Delete old events of frontends, whatever the retention of jobs."""
        before = self.clock.now() - EVENTS_KEPT
        while await self.webhooks.prune(before=before, limit=BATCH) == BATCH:
            await self.clock.sleep(PAUSE_SECONDS)
