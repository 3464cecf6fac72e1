"""Rows in which the database is restored from a backup after the post went out.

The backup is made and restored as docs/deploy/backups.md says.
"""

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from sqlalchemy import URL, make_url

from app.store.last_seen import FILE
from app.use_cases import UseCases
from chaos import acts
from chaos.cells import IN_DOUBT_POSTED, Database, Row, Script
from chaos.gate import Moment, Stop
from chaos.place import Place
from chaos.world import PATIENCE_SECONDS

GROUP: Final = "a backup is restored"
STOPS: Final = (
    Stop("claim", Moment.BEFORE),
    Stop("stamp"),
    Stop("init"),
    Stop("save_id", Moment.AFTER),
    Stop("wait"),
)
DOUBTS: Final = {"doubts": 1.0}
HAS_CLIENT: Final = bool(shutil.which("pg_dump") and shutil.which("pg_restore"))
DATABASES: Final = (Database.SQLITE, *((Database.POSTGRES,) if HAS_CLIENT else ()))


def rows() -> Iterator[Row]:
    """Return every row with a restore."""
    for announced in (True, False):
        words = "`restore-hold`" if announced else "nobody says so"
        for stop in STOPS:
            yield Row(
                group=GROUP,
                cause=f"{words}; the backup is from: {stop}",
                script=_restored(stop, announced=announced),
                ends=(IN_DOUBT_POSTED,),
                ends_with_gateway=(IN_DOUBT_POSTED,),
                databases=DATABASES,
            )


def _restored(stop: Stop, *, announced: bool) -> Script:
    async def script(place: Place) -> None:
        await UseCases(place.container).keys.create("chaos", None)
        worker = await place.worker(stop, **DOUBTS)
        await acts.at_stop(worker, stop)
        await _back_up(place)
        worker.go()
        await place.over()
        await _alive(place)
        await worker.kill()
        await _restore(place)
        if announced:
            await place.container.restore.hold()
        await place.worker(**DOUBTS)

    return script


async def _alive(place: Place) -> None:
    """Let a worker write its heartbeat after the backup, as each does twice a minute.

    The former one may have done so before. On a busy machine one tick is too short.
    """
    noted = place.directory / FILE
    before = noted.read_text() if noted.exists() else ""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not noted.exists() or noted.read_text() == before:
            witness = await place.worker(tick=1.0, **DOUBTS)
            await witness.gone()


async def _back_up(place: Place) -> None:
    url, backup = make_url(place.settings["database_url"]), place.directory / "backup"
    if place.cell.database is Database.SQLITE:
        _copy(Path(url.database or ""), backup)
        return
    await _run("pg_dump", "--format=custom", f"--file={backup}", _dsn(url))


async def _restore(place: Place) -> None:
    url, backup = make_url(place.settings["database_url"]), place.directory / "backup"
    if place.cell.database is Database.SQLITE:
        _copy(backup, Path(url.database or ""))
        return
    await place.server.execute(f"DROP DATABASE {url.database} WITH (FORCE)")
    await place.server.execute(f"CREATE DATABASE {url.database}")
    options = "--exit-on-error", "--no-owner", f"--dbname={_dsn(url)}"
    await _run("pg_restore", *options, str(backup))


async def _run(*command: str) -> None:
    program = await asyncio.create_subprocess_exec(*command)
    if await program.wait():
        raise RuntimeError(f"{command[0]} failed")


def _dsn(url: URL) -> str:
    bare = url.set(drivername="postgresql")
    return bare.render_as_string(hide_password=False)


def _copy(source: Path, target: Path) -> None:
    with (
        closing(sqlite3.connect(source)) as read,
        closing(sqlite3.connect(target, timeout=60)) as written,
    ):
        read.backup(written)
