"""Encrypted files for publish_ids that the database could not take.

The next process on this machine writes them to the database.
"""

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

import msgspec
import structlog
from sqlalchemy import Update, case, func, literal, select, update

from app.domain.errors import TokenUnreadable
from app.domain.jobs.job import JobStatus
from app.domain.jobs.witness import KeptInit
from app.store.db.engine import Database
from app.store.db.outage import refusals
from app.store.db.types import UtcDateTime
from app.store.db.vault import Vault, sync_directory
from app.store.jobs.tables import schedule_jobs

log = structlog.get_logger(__name__)

SUFFIX: Final = ".publish-id"

_BOUND_TO: Final = "spool"
_jobs = schedule_jobs.c
_read: Final = msgspec.json.Decoder(KeptInit).decode
_write: Final = msgspec.json.Encoder().encode


class Spool:
    """One file per id, written atomically and synced to the disk."""

    def __init__(self, directory: Path, vault: Vault) -> None:
        self._directory = directory
        self._vault = vault

    def keep(self, told: KeptInit) -> None:
        """Write a file; a failure is only logged."""
        sealed = self._vault.encrypt(_write(told).decode(), bound_to=_BOUND_TO)
        path = self._directory / f"{told.job_id}-{uuid4().hex}{SUFFIX}"
        try:
            _write_file(path, sealed)
        except OSError as error:
            log.error("SPOOL_DIR cannot be written", reason=error.strerror)
        else:
            log.warning(
                "a publish_id is kept in a file until the database takes it",
                file=path.name,
            )

    def kept(self) -> list[tuple[Path, KeptInit]]:
        """Return the files that can be decrypted; others are left alone."""
        found = []
        for path in sorted(self._directory.glob(f"*{SUFFIX}")):
            try:
                text = self._vault.decrypt(path.read_text("ascii"), bound_to=_BOUND_TO)
                found.append((path, _read(text)))
            except (OSError, TokenUnreadable, ValueError):
                log.warning(
                    "a kept publish_id cannot be read or decrypted", file=path.name
                )
        return found


class SpoolStore:
    """Writes kept ids to the database, never over anything newer."""

    def __init__(self, database: Database, spool: Spool) -> None:
        self._database = database
        self._spool = spool

    async def hand_in(self, *, now: datetime) -> int:
        """Write the kept ids and remove their files; return how many were new.

        A file whose job is not in this database stays: it may be another database's.
        Raises StoreUnavailable.
        """
        kept = self._spool.kept()
        if not kept:
            return 0
        with refusals():
            known, written = await self._write([told for _, told in kept], now=now)
        for path, told in kept:
            if told.job_id in known:
                path.unlink(missing_ok=True)
                log.warning(
                    "a kept publish_id was written to the database",
                    job_id=told.job_id,
                    publish_id=told.publish_id,
                    was_news=told in written,
                )
        return len(written)

    async def _write(
        self, kept: Sequence[KeptInit], *, now: datetime
    ) -> tuple[set[str], list[KeptInit]]:
        ids = select(_jobs.id).where(_jobs.id.in_({told.job_id for told in kept}))
        written = []
        async with self._database.write() as connection:
            known = set((await connection.execute(ids)).scalars())
            for told in kept:
                result = await connection.execute(_update(told, now))
                if result.rowcount:
                    written.append(told)
        return known, written


def _update(told: KeptInit, now: datetime) -> Update:
    """Write the publish_id of that init, if the job has none yet.

    If the job is over, TikTok is asked about it at once.
    """
    is_over = _jobs.status == JobStatus.FAILED
    return (
        update(schedule_jobs)
        .where(
            _jobs.id == told.job_id,
            _jobs.init_sent_at == told.init_sent_at,
            _jobs.publish_id.is_(None),
        )
        .values(
            publish_id=told.publish_id,
            publish_started_at=func.coalesce(_jobs.publish_started_at, told.at),
            confirm_at=case(
                (is_over, literal(now, UtcDateTime())), else_=_jobs.confirm_at
            ),
            updated_at=now,
        )
    )


def _write_file(path: Path, text: str) -> None:
    draft = path.with_suffix(".draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    sync_directory(path.parent)
