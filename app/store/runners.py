"""Which runners are alive, for people to see; claims do not use it."""

from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from sqlalchemy import Column, Table, Text, delete, insert, select, update

from app.store.db.engine import Store
from app.store.db.metadata import metadata
from app.store.db.types import UtcDateTime

KEPT: Final = timedelta(days=1)
"""How long a runner that is gone is remembered."""

runners = Table(
    "runners",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Text, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    # The server that it runs jobs on, and has put back on what that lacked. NULL once
    # it has ended in order: what it wrote before that is here, too.
    Column("server", Text),
)


class SeenRunner(Struct, frozen=True):
    """A process that runs jobs, or did lately."""

    name: str
    version: str
    seen_at: datetime
    server: str | None = None  # the identity of the database's server


class RunnerStore(Store):
    """Records which runners are alive."""

    async def note(self, runner: SeenRunner) -> None:
        """Record that a runner is alive; delete those long gone."""
        values = {
            "version": runner.version,
            "seen_at": runner.seen_at,
            "server": runner.server,
        }
        its_own = runners.c.name == runner.name
        async with self._database.write() as connection:
            known = await connection.execute(
                update(runners).where(its_own).values(values)
            )
            if known.rowcount:
                return
            gone = runners.c.seen_at < runner.seen_at - KEPT
            await connection.execute(delete(runners).where(gone))
            await connection.execute(insert(runners).values(name=runner.name, **values))

    async def seen_since(self, moment: datetime) -> tuple[SeenRunner, ...]:
        """List the runners that were seen since then."""
        found = (
            select(runners).where(runners.c.seen_at > moment).order_by(runners.c.name)
        )
        rows = await self._database.rows(found)
        return tuple(SeenRunner(**row) for row in rows)

    async def on_servers(self) -> tuple[SeenRunner, ...]:
        """List those that did not end in order, on whichever server they ran."""
        found = select(runners).where(runners.c.server.is_not(None))
        rows = await self._database.rows(found)
        return tuple(SeenRunner(**row) for row in rows)

    async def sign_off(self, name: str) -> None:
        """Say that a runner has ended in order."""
        ended = update(runners).where(runners.c.name == name).values(server=None)
        async with self._database.single() as connection:
            await connection.execute(ended)
