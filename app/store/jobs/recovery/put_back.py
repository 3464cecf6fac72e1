"""After a fail-over: what the database lost is written again, by who knows of it."""

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

import structlog
from sqlalchemy import Row, Update, and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.jobs.job import Job, JobStatus
from app.domain.jobs.transition import Transition, applied, given_back
from app.domain.jobs.witness import Testimony, Witness
from app.store.accounts.account_store import AccountStore
from app.store.db.engine import Database
from app.store.jobs.init_writes import INIT_COLUMNS, UPLOAD_COLUMNS
from app.store.jobs.media_links import open_links
from app.store.jobs.requests.insert_writer import InsertWriter
from app.store.jobs.rows import error_to_json
from app.store.jobs.tables import schedule_jobs
from app.store.jobs.transitions import OWNED, TRANSITION_COLUMNS, write_transitions

log = structlog.get_logger(__name__)

_jobs = schedule_jobs.c
_PAGE: Final = 100  # jobs whose locks one transaction holds
_WRITTEN: Final = tuple(
    dict.fromkeys((*TRANSITION_COLUMNS, *INIT_COLUMNS, *UPLOAD_COLUMNS))
)
_SEEN: Final = ("status", "claim_token", "init_sent_at", "publish_id")
_seen = attrgetter(*_SEEN)


class PutBack:
    """Writes what a witness tells, and never over anything newer.

    The claim is written first, as it was; all else goes the way it went then, under
    the claim's token, with ledger and events. Token pairs come before all else.
    """

    def __init__(
        self, database: Database, witness: Witness, accounts: AccountStore
    ) -> None:
        self._database = database
        self._witness = witness
        self._accounts = accounts
        self._inserts = InsertWriter(database)

    async def write(self, *, now: datetime) -> int:
        """Write what the database lacks; return of how many claims it lacked something.

        Harmless if repeated. Raises StoreUnavailable.
        """
        if pairs := await self._accounts.put_back(now=now):
            log.warning("put back token pairs that the database lost", pairs=pairs)
        # In one order everywhere: no two workers wait for each other's rows.
        told = sorted(self._witness.told(), key=lambda each: each.job.id)
        pages = (told[at : at + _PAGE] for at in range(0, len(told), _PAGE))
        return sum([await self._write_page(page, now) for page in pages])

    async def _write_page(self, told: Sequence[Testimony], now: datetime) -> int:
        columns = (_jobs.id, _jobs.attempt_number, *(_jobs[name] for name in _SEEN))
        rows = select(*columns).where(_jobs.id.in_({each.job.id for each in told}))
        async with self._database.write() as connection:
            there = {row.id: row for row in await connection.execute(rows)}
            return sum(
                [
                    await self._write_one(connection, each, there, now)
                    for each in told
                    if _lacks(there.get(each.job.id), each, now)
                ]
            )

    async def _write_one(
        self,
        connection: AsyncConnection,
        told: Testimony,
        there: dict[str, Row[Any]],
        now: datetime,
    ) -> bool:
        job = told.job
        if job.id not in there:
            await self._inserts.put_back(connection, job)
        written = (await connection.execute(_reclaim(job, now))).rowcount
        if not written:
            return False
        await open_links(self._database, connection, [job])
        if (end := _end(told, now)) is not None:
            await write_transitions(connection, [(job, end)], guard=OWNED, now=now)
        log.warning(
            "put back what the database lost",
            job_id=job.id,
            publish_id=job.publish_id,
            status=None if end is None else str(end.to),
        )
        return True


def _end(told: Testimony, now: datetime) -> Transition | None:
    """Return what became of the claim; None while its attempt goes on."""
    if told.ended is None and told.is_dropped:
        return given_back(told.job, at=now)
    return told.ended


def _lacks(row: Row[Any] | None, told: Testimony, now: datetime) -> bool:
    """Tell whether a row may lack what is told; whether it does, ``_reclaim`` says."""
    if row is None:
        return True
    if row.attempt_number > told.job.attempt_number:
        return False
    end = _end(told, now)
    after = told.job if end is None else applied(told.job, end, now=now)
    return tuple(row[-len(_SEEN) :]) != _seen(after)


def _reclaim(job: Job, now: datetime) -> Update:
    """Write a claim and its init, unless the row has this claim's end or a later claim.

    A claim's number is that of the attempts that ended before it. An init that is open
    in the row and newer than ours was sent by somebody who came after us.
    """
    mine = _jobs.claim_token == job.claim_token
    earlier = or_(_jobs.claimed_at.is_(None), _jobs.claimed_at < job.claimed_at)
    no_other_publish = or_(
        _jobs.publish_id.is_(None),
        _jobs.publish_id == job.publish_id,
        _jobs.init_sent_at.is_(None),
        _jobs.init_sent_at < job.init_sent_at,
    )
    values = {name: getattr(job, name) for name in _WRITTEN}
    return (
        update(schedule_jobs)
        .where(
            and_(
                _jobs.id == job.id,
                _jobs.status != JobStatus.POSTED,
                _jobs.attempt_number <= job.attempt_number,
                or_(mine, earlier),
                no_other_publish,
            )
        )
        .values(
            {
                **values,
                "last_error": error_to_json(job.last_error),
                "post_ids": list(job.post_ids) or None,
                "upload_repeats": list(job.upload_repeats) or None,
                "abandoned_by": None,
                "held_since": None,
                "updated_at": now,
            }
        )
    )
