"""A primary and its standby, which is promoted without the last commits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Final

from app.store.db.migrate import upgrade
from tests.support.postgres import PostgresServer
from tests.support.sql import execute

_one_at_a_time = Lock()  # Alembic keeps its context in the module
_UNREAD: Final = "SELECT pg_wal_lsn_diff('{}', pg_last_wal_replay_lsn()) <= 0"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two servers with our tables; the standby follows until it is told not to."""

    primary: PostgresServer
    standby: PostgresServer

    @property
    def url(self) -> str:
        """Name both in one URL, the primary first."""
        hosts = f"127.0.0.1:{self.primary.port},127.0.0.1:{self.standby.port}"
        return f"postgresql://postgres@{hosts}/postgres"

    async def lag(self) -> None:
        """Let the standby catch up, and then receive nothing more."""
        written = await execute(self.primary.url, "SELECT pg_current_wal_lsn()::text")
        await _until(self.standby.url, _UNREAD.format(written))
        await execute(
            self.standby.url,
            "ALTER SYSTEM SET primary_conninfo = ''",
            "SELECT pg_reload_conf()",
        )
        gone = "SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver)"
        await _until(self.standby.url, gone)

    async def fail_over(self) -> None:
        """Let the primary crash and the standby take its place."""
        await asyncio.to_thread(self.primary.stop_immediate)
        await self.promote()

    async def promote(self) -> None:
        """Let the standby take the primary's place, whatever that does."""
        await asyncio.to_thread(self.standby.promote)


@asynccontextmanager
async def paired(*, synchronous: bool = False) -> AsyncIterator[Pair]:
    """Start both; a commit waits for a ``synchronous`` standby."""
    primary = PostgresServer()
    standby = PostgresServer(source=primary)
    try:
        await asyncio.to_thread(primary.start)
        await asyncio.to_thread(_upgrade, primary.url)
        await asyncio.to_thread(standby.start)
        if synchronous:
            names = "ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (*)'"
            await execute(primary.url, names, "SELECT pg_reload_conf()")
            waits = (
                "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'quorum'"
            )
            await _until(primary.url, waits)
        yield Pair(primary, standby)
    finally:
        await asyncio.to_thread(standby.close)
        await asyncio.to_thread(primary.close)


def _upgrade(url: str) -> None:
    with _one_at_a_time:
        upgrade(url)


async def _until(url: str, question: str) -> None:
    while not await execute(url, question):
        await execute(url, "SELECT pg_sleep(0.02)")
