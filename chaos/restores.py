"""Rows in which the database is put back to a backup after the post went out.

On SQLite. A backup of Postgres forgets in the same way.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from sqlalchemy import make_url

from app.use_cases import UseCases
from chaos import acts
from chaos.cells import IN_DOUBT_POSTED, Database, Row, Script
from chaos.gate import Moment, Stop
from chaos.place import Place

GROUP: Final = "a backup is restored"
STOPS: Final = (
    Stop("claim", Moment.BEFORE),
    Stop("stamp"),
    Stop("init"),
    Stop("save_id", Moment.AFTER),
    Stop("wait"),
)
DOUBTS: Final = {"doubts": 1.0}


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
                databases=(Database.SQLITE,),
            )


def _restored(stop: Stop, *, announced: bool) -> Script:
    async def script(place: Place) -> None:
        await UseCases(place.container).keys.create("chaos", None)
        worker = await place.worker(stop, **DOUBTS)
        await acts.at_stop(worker, stop)
        backup = place.directory / "backup.db"
        _copy(_file(place), backup)
        worker.go()
        await place.over()
        await _alive(place)
        await worker.kill()
        _copy(backup, _file(place))
        if announced:
            await place.container.restore.hold()
        await place.worker(**DOUBTS)

    return script


async def _alive(place: Place) -> None:
    """Let a worker write that it lives, after the backup: as each does twice a minute.

    The former one may have done so before.
    """
    witness = await place.worker(tick=1.0, **DOUBTS)
    await witness.gone()


def _file(place: Place) -> Path:
    return Path(make_url(place.settings["database_url"]).database or "")


def _copy(source: Path, target: Path) -> None:
    with (
        closing(sqlite3.connect(source)) as read,
        closing(sqlite3.connect(target, timeout=60)) as written,
    ):
        read.backup(written)
