"""Postgres' NOTIFY: tells idle workers at once that a job is due. Only a hint.

The table stays the truth and polling the fallback: a hint that is lost, as behind a
PgBouncer that pools transactions, costs less than a second.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy import NullPool, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from app.domain.clock import Clock
from app.domain.errors import StoreUnavailable
from app.store.db.engine import POSTGRES_CONNECT_SECONDS, Database, unavailable

log = structlog.get_logger(__name__)

CHANNEL: Final = "tiktok_scheduler_due"

SOON: Final = timedelta(seconds=1)
"""What falls due before an idle worker looks again is hinted at, too."""

FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 30.0

# A NOTIFY in every insert would halve what Postgres takes in: notifying transactions
# commit one after the other. https://www.postgresql.org/docs/current/sql-notify.html
NOTIFY: Final = func.pg_notify(CHANNEL, "")


def is_hinted_at(due: datetime | None, *, now: datetime) -> bool:
    """Tell whether workers should hear of a job that falls due then."""
    return due is not None and due <= now + SOON


async def hint(connection: AsyncConnection) -> None:
    """Let idle workers look as soon as this transaction has committed."""
    if connection.dialect.name == "postgresql":
        await connection.execute(select(NOTIFY))


class DueHints:
    """Listens, on a connection of its own that is opened again whenever it breaks."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    @asynccontextmanager
    async def waking(self, on_due: Callable[[], None]) -> AsyncIterator[None]:
        """Call ``on_due`` at every hint while the block runs; on SQLite there is none.

        In one process the runner is woken without.
        """
        if self._database.is_sqlite:
            yield
            return
        listening = asyncio.create_task(self._listen(on_due), name="due hints")
        try:
            yield
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening

    async def _listen(self, on_due: Callable[[], None]) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                async with self._connected() as connection:
                    ended = await _subscribe(connection, on_due)
                    pause = FIRST_PAUSE_SECONDS
                    on_due()  # whatever was hinted at before
                    await ended.wait()
                log.info("the connection for hints ended; opening another")
            except StoreUnavailable:
                log.info("no hints: the database does not answer", pause=pause)
            except Exception:
                log.exception("listening for hints stumbled", pause=pause)
            await self._clock.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Any]:
        """Open a connection that no pool counts, lends or takes back."""
        engine = create_async_engine(
            self._database.url,
            poolclass=NullPool,
            hide_parameters=True,
            connect_args={"timeout": POSTGRES_CONNECT_SECONDS},
        )
        with unavailable():
            async with engine.connect() as connection:
                raw = await connection.get_raw_connection()
                yield raw.driver_connection


async def _subscribe(connection: Any, on_due: Callable[[], None]) -> asyncio.Event:  # noqa: ANN401  asyncpg ships no types
    """Listen; the event is set when the connection ends."""
    ended = asyncio.Event()
    connection.add_termination_listener(lambda _: ended.set())
    await connection.add_listener(CHANNEL, lambda *_: on_due())
    return ended
