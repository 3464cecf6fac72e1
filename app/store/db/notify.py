"""Wake idle workers with Postgres' NOTIFY when a job is due. Only a hint.

The table is the truth and polling the fallback: a lost hint costs less than a second.
A PgBouncer that pools transactions loses all hints.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.errors import StoreUnavailable
from app.machine.clock import Clock
from app.store.db.engine import CLOSE_SECONDS, HINTS, Database
from app.store.db.outage import unavailable

if TYPE_CHECKING:
    from app.store.db.postgres.session import Session, Sessions

log = structlog.get_logger(__name__)

CHANNEL: Final = "tiktok_scheduler_due"

SOON: Final = timedelta(seconds=1)
"""Jobs due before an idle worker polls again are hinted at, too."""

FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 30.0

# A NOTIFY in every insert would halve the rate of inserts: notifying transactions
# commit one after the other. https://www.postgresql.org/docs/current/sql-notify.html
NOTIFY: Final = func.pg_notify(CHANNEL, "")


def is_hinted_at(due: datetime | None, *, now: datetime) -> bool:
    """Tell whether a job due then is hinted at."""
    return due is not None and due <= now + SOON


async def hint(connection: AsyncConnection) -> None:
    """Wake idle workers as soon as this transaction commits."""
    if connection.sync_engine.get_execution_options().get(HINTS):
        await connection.execute(select(NOTIFY))


class DueHints:
    """Listens on its own connection, and reconnects when that breaks."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    @asynccontextmanager
    async def waking(self, on_due: Callable[[], None]) -> AsyncIterator[None]:
        """Call ``on_due`` at every hint while the block runs, if there are hints.

        In the same process the runner is woken directly.
        """
        sessions = self._database.sessions
        if sessions is None or not self._database.has_hints:
            yield
            return
        listening = asyncio.create_task(self._listen(sessions, on_due), name="hints")
        try:
            yield
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening

    async def _listen(self, sessions: "Sessions", on_due: Callable[[], None]) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                async with self._connected(sessions) as session:
                    if sessions.pooled:
                        log.info(
                            "no LISTEN through a pooler: due jobs are found by polling"
                        )
                        return
                    ended = await _subscribe(session, on_due)
                    pause = FIRST_PAUSE_SECONDS
                    on_due()  # for hints missed before
                    await ended.wait()
                log.info("the connection for LISTEN ended; opening another")
            except StoreUnavailable:
                log.debug("no LISTEN: the database does not answer", pause=pause)
            except Exception:
                log.exception("LISTEN failed", pause=pause)
            await self._clock.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    @asynccontextmanager
    async def _connected(self, sessions: "Sessions") -> "AsyncIterator[Session]":
        """Open a session outside the pool."""
        with unavailable(self._database.trouble, writes=False):
            session = await sessions.connect()
            try:
                yield session
            finally:
                await _close(session)


async def _close(session: "Session") -> None:
    try:
        await session.close(timeout=CLOSE_SECONDS)
    except Exception:  # noqa: BLE001  closed for whatever reason
        session.terminate()


async def _subscribe(session: "Session", on_due: Callable[[], None]) -> asyncio.Event:
    """Listen; the event is set when the connection ends."""
    ended = asyncio.Event()
    session.add_termination_listener(lambda _: ended.set())
    await session.add_listener(CHANNEL, lambda *_: on_due())
    return ended
