"""After the database failed over: nothing is claimed until what it lost is put back."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

import structlog
from msgspec import Struct
from msgspec.structs import replace

from app.domain.errors import StoreUnavailable
from app.machine.clock import Clock
from app.store.db.postgres.identity import Identity, Lineage
from app.store.jobs.recovery.gap import Gap, GapStore
from app.store.jobs.recovery.put_back import PutBack
from app.store.runners import RunnerStore, SeenRunner

log = structlog.get_logger(__name__)

LIVED_WITHIN: Final = timedelta(seconds=60)
"""A runner says every half minute that it lives; one that was silent for longer when
the gap began had ended before."""


class Patience(Struct, frozen=True):
    """How long claims wait for the other runners."""

    least: timedelta = timedelta(seconds=3)
    """The database may have lost that there is another one."""

    most: timedelta = timedelta(seconds=15)
    """After that one has died in the failure, with all that it knew."""


_PATIENCE: Final = Patience()


class Failover:
    """Notices another server in the database's place, and closes the gap.

    Every runner puts back what it knows, and says so in its row. Once all that ran have
    done so, or their time is over, whoever comes first holds what nobody can tell of.
    """

    def __init__(
        self,
        lineage: Lineage | None,
        runners: RunnerStore,
        gaps: GapStore,
        put_back: PutBack,
        clock: Clock,
        *,
        me: SeenRunner,
        tolerance: timedelta = timedelta(0),
        patience: Patience = _PATIENCE,
    ) -> None:
        """Take which servers were met; None for a database that is a file.

        ``tolerance`` is how far another runner's clock may be behind.
        """
        self.settled: Identity | None = None
        """The server on which jobs may be claimed; None: any, or not known yet."""

        self._lineage = lineage
        self._runners = runners
        self._gaps = gaps
        self._put_back = put_back
        self._clock = clock
        self._me = me
        self._lived_within = LIVED_WITHIN + tolerance
        self._patience = patience
        self._noticed: tuple[Identity, datetime] | None = None
        self._lock = asyncio.Lock()

    async def ready(self) -> bool:
        """Tell whether jobs may be claimed; if not, do what there is to do about it.

        Raises StoreUnavailable.
        """
        lineage = self._lineage
        if lineage is None or self._is_settled(lineage):
            return True
        async with self._lock:
            # Whoever had the turn before may have settled it.
            return self._is_settled(lineage) or await self._settle(lineage)

    def _is_settled(self, lineage: Lineage) -> bool:
        if lineage.is_hidden:
            return True
        return self.settled is not None and lineage.newest == self.settled

    async def beat(self, *, now: datetime) -> bool:
        """Say that this runner lives, and on which server, unless a gap is open.

        Raises StoreUnavailable.
        """
        if not await self.ready():
            return False
        await self._note(self.settled, now)
        return True

    async def is_open(self) -> bool:
        """Tell whether runners are known that ran on another server than this."""
        there = await self._runners.on_servers()
        newest = self._lineage.newest if self._lineage is not None else None
        return newest is not None and any(each.server != str(newest) for each in there)

    async def sign_off(self) -> None:
        """Say that this runner has ended in order, if the database takes it."""
        if self.settled is not None:
            with suppress(StoreUnavailable):
                await self._runners.sign_off(self._me.name)

    async def _settle(self, lineage: Lineage) -> bool:
        there = await self._runners.on_servers()  # asks the server who it is, too
        server, now = lineage.newest, self._clock.now()
        if server is None:
            if lineage.is_hidden:
                return True
            raise StoreUnavailable
        elsewhere = [each for each in there if each.server != str(server)]
        if elsewhere or self.settled is not None:
            await self._tell(server, now)
        if elsewhere and not await self._close(server, there, now):
            return False
        self.settled, self._noticed = server, None
        return True

    async def _tell(self, server: Identity, now: datetime) -> None:
        """Put back what the server lacks, and say so; once for each server."""
        if self._noticed is not None and self._noticed[0] == server:
            return
        log.warning(
            "the database is another server now; no job is claimed", server=str(server)
        )
        count = await self._put_back.write(now=now)
        await self._note(server, now)
        self._noticed = server, now
        log.warning(
            "wrote back what the new server lacks; waiting for other workers to do so",
            claims=count,
        )

    async def _close(
        self, server: Identity, there: Sequence[SeenRunner], now: datetime
    ) -> bool:
        """Close the gap if everybody has answered, or had the time to."""
        answered = [each for each in there if each.server == str(server)]
        others = [
            each
            for each in there
            if each.server != str(server) and each.name != self._me.name
        ]
        noticed = min([now, *(each.seen_at for each in answered)])
        began = await self._gaps.began() or max(
            (each.seen_at for each in others), default=noticed
        )
        since = began - self._lived_within
        missing = [each.name for each in others if each.seen_at > since]
        patience = self._patience.most if missing else self._patience.least
        if now - noticed < patience:
            return False
        gap = Gap(
            server=server,
            began=began,
            noticed=noticed,
            answered={self._me.name, *(each.name for each in answered)},
            missing=missing,
        )
        held = await self._gaps.close(gap, now=now)
        log.warning(
            "the database failed over; jobs are claimed again",
            gap_seconds=round((noticed - began).total_seconds(), 3),
            missing=missing,
            held=held,
        )
        return True

    async def _note(self, server: Identity | None, now: datetime) -> None:
        on = None if server is None else str(server)
        await self._runners.note(replace(self._me, seen_at=now, server=on))
