"""Detect a restored backup: the database lacks what this machine wrote.

A file outside the database keeps the time of the newest heartbeat written to it. A
database that was restored from an older backup lacks that heartbeat.
"""

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog
from msgspec import Struct
from sqlalchemy import func, select

from app.store.api_keys import api_keys
from app.store.db.engine import Store
from app.store.runners import runners

log = structlog.get_logger(__name__)

FILE: Final = "last-seen.json"
MOST: Final = 20
"""How many databases one file remembers."""


class Installation(Struct, frozen=True):
    """The identity of a database, and its newest heartbeat."""

    name: str  # its oldest API key's id, which its backups have, too
    seen_at: datetime | None  # the newest heartbeat of any runner


class InstallationStore(Store):
    """Tells databases apart, and a database from its own backup."""

    async def look(self) -> Installation | None:
        """Return the database's identity; None before it has its first key."""
        oldest = select(api_keys.c.id).order_by(api_keys.c.created_at, api_keys.c.id)
        newest = select(func.max(runners.c.seen_at))
        async with self._database.read() as connection:
            name = (await connection.execute(oldest.limit(1))).scalar_one_or_none()
            seen_at = (await connection.execute(newest)).scalar_one()
        return None if name is None else Installation(name, seen_at)


class LastSeen:
    """The file; it needs a persistent directory, which many containers lack."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE

    @property
    def exists(self) -> bool:
        """Tell whether an earlier process left one."""
        return self._path.is_file()

    def read(self, name: str) -> datetime | None:
        """Return the newest heartbeat that this machine wrote to a database."""
        at = self._all().get(name)
        return None if at is None else datetime.fromisoformat(at)

    def write(self, name: str, at: datetime) -> None:
        """Store a committed heartbeat; a failure is no error."""
        kept = self._all()
        kept.pop(name, None)
        kept[name] = at.isoformat()
        self._replace(dict(list(kept.items())[-MOST:]))

    def forget(self, name: str) -> None:
        """Forget a database whose restore is known."""
        kept = self._all()
        if kept.pop(name, None) is not None:
            self._replace(kept)

    def _all(self) -> dict[str, str]:
        try:
            found = json.loads(self._path.read_text("ascii"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _replace(self, kept: dict[str, str]) -> None:
        draft = self._path.with_suffix(f".{os.getpid()}")
        try:
            draft.write_text(json.dumps(kept), "ascii")
            draft.replace(self._path)
        except OSError as error:
            log.debug("SPOOL_DIR cannot be written", reason=error.strerror)
