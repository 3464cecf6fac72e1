"""What of claim → finish is Postgres' own: the same statements by bare asyncpg.

Recorded once with their parameters, then run on copies of the same database: claims on
one connection, ends on another as soon as what they end is claimed. No job is made of a
row, nothing is decided, no attempt is a task.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

import asyncpg
from sqlalchemy import event, make_url

from app.store.db.engine import Database
from app.store.jobs.claims import ClaimStore
from bench.noop import drain
from bench.servers import execute, libpq_url

_CLAIM: Final = "WITH unlocked AS"
_END: Final = "WITH ended AS"


@dataclass(frozen=True, slots=True)
class Statement:
    """One that was sent, and how many claims were sent before it."""

    sql: str
    parameters: Sequence[Any]
    after: int


async def copy_of(url: str, server_url: str) -> str:
    """Copy a database that nobody is connected to; return the copy's URL."""
    made, name = make_url(url), f"bench_{uuid4().hex}"
    await execute(server_url, f"CREATE DATABASE {name} TEMPLATE {made.database}")
    return made.set(database=name).render_as_string(hide_password=False)


async def recorded(url: str, *, batch: int) -> tuple[list[Statement], list[Statement]]:
    """Drain a queue once and return the claims and the ends that were sent."""
    claims, ends = list[Statement](), list[Statement]()

    def note(*call: Any) -> None:  # noqa: ANN401  SQLAlchemy's own signature
        sql, parameters = call[2], call[3]
        if sql.startswith(_CLAIM):
            claims.append(Statement(sql, parameters, 0))
        elif sql.startswith(_END):
            ends.append(Statement(sql, parameters, len(claims)))

    database = Database(url)
    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    await drain(ClaimStore(database, lease=timedelta(hours=1)), batch)
    await database.close()
    return claims, ends


async def replayed(
    url: str, claims: Sequence[Statement], ends: Sequence[Statement]
) -> float:
    """Run what was recorded and return the seconds that it took."""
    first, second = [await asyncpg.connect(libpq_url(url)) for _ in range(2)]
    done, more = 0, asyncio.Event()

    async def claim() -> None:
        nonlocal done
        for each in claims:
            await first.fetch(each.sql, *each.parameters)
            done += 1
            more.set()

    async def end() -> None:
        for each in ends:
            while done < each.after:
                more.clear()
                await more.wait()
            await second.fetch(each.sql, *each.parameters)

    began = time.perf_counter()
    await asyncio.gather(claim(), end())
    took = time.perf_counter() - began
    over = "SELECT count(*) FROM schedule_jobs WHERE status <> 'posted'"
    left = await first.fetchval(over)
    await asyncio.gather(first.close(), second.close())
    if left:
        raise AssertionError(f"{left} jobs were not finished")
    return took
