"""How many no-op jobs a second one process claims and finishes on an SQLite file.

Beside raw sqlite3 that runs the same statements, as they were recorded, on a copy of
the same file, with the same settings and no event loop.
"""

import asyncio
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from sqlalchemy import event

from app.store.db.engine import Database
from app.store.db.migrate import upgrade
from app.store.jobs.claims import ClaimStore
from bench.figures import Figure, at_least, median, ratio
from bench.noop import drain, drained, spare_the_collector
from bench.seeds import add_jobs, bench_container

JOBS: Final = 5_000
BATCH: Final = 500
_SETTINGS: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
)

Statement = tuple[str, Any]  # with its parameters


async def run(rounds: int, quick: bool) -> list[Figure]:
    """Drain copies of one queue: by us, then by what we sent to the database."""
    jobs = 1_000 if quick else JOBS
    ours, raw = list[float](), list[float]()
    spare_the_collector()  # on both sides
    with TemporaryDirectory() as folder:
        full = Path(folder) / "full.db"
        await _fill(full, jobs)
        statements = await _recorded(_copy(full, "recorded"))
        for number in range(rounds):
            took = await drained(_url(_copy(full, f"ours_{number}")), batch=BATCH)
            ours.append(took.jobs / took.seconds)
            raw.append(jobs / _replayed(_copy(full, f"raw_{number}"), statements))
    return [
        median("claim and finish on a file", ours, "jobs/s"),
        median("the same statements by sqlite3", raw, "jobs/s"),
        ratio("to raw sqlite3", ours, raw, bar=at_least(0.25)),
    ]


async def _fill(path: Path, jobs: int) -> None:
    await asyncio.to_thread(upgrade, _url(path))
    async with bench_container(_url(path)) as made:
        await add_jobs(made, jobs, due=made.clock.now() - timedelta(seconds=1))


async def _recorded(path: Path) -> list[Statement]:
    """Drain a copy once, and return all that was sent."""
    database = Database(_url(path))
    with _noted(database) as statements:
        await drain(ClaimStore(database, lease=timedelta(hours=1)), BATCH)
    await database.close()
    return statements


@contextmanager
def _noted(database: Database) -> Iterator[list[Statement]]:
    found: list[Statement] = []
    engine = database.engine.sync_engine

    def note(*call: Any) -> None:  # noqa: ANN401  SQLAlchemy's own signature
        found.append((call[2], call[3]))

    def commit(_connection: object) -> None:
        found.append(("COMMIT", ()))

    event.listen(engine, "before_cursor_execute", note)
    event.listen(engine, "commit", commit)
    yield found


def _replayed(path: Path, statements: list[Statement]) -> float:
    """Run the statements and return the seconds that it took."""
    connection = sqlite3.connect(path, isolation_level=None)
    for setting in _SETTINGS:
        connection.execute(setting)
    began = time.perf_counter()
    for sql, parameters in statements:
        if sql != "COMMIT" or connection.in_transaction:
            connection.execute(sql, parameters).fetchall()
    took = time.perf_counter() - began
    over = "SELECT count(*) FROM schedule_jobs WHERE status <> 'posted'"
    (left,) = connection.execute(over).fetchone()
    connection.close()
    if left:
        raise AssertionError(f"{left} jobs were not finished")
    return took


def _copy(path: Path, name: str) -> Path:
    made = path.with_name(f"{name}.db")
    shutil.copyfile(path, made)
    return made


def _url(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"
