"""The worker's side of the jobs table: claim, and write what the claim allows."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, Final
from uuid import uuid4

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import (
    ColumnElement,
    Integer,
    Interval,
    Row,
    Select,
    Text,
    and_,
    bindparam,
    case,
    func,
    literal,
    literal_column,
    null,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningUpdate

from app.domain.jobs.backoff import Random, RetryPolicy
from app.domain.jobs.job import Job, JobStatus
from app.domain.jobs.lifecycle import decide
from app.domain.jobs.outcome import Abandoned
from app.domain.jobs.transition import Transition, given_back
from app.domain.jobs.witness import Witness
from app.machine.clock import ClockWatch
from app.store.db.engine import Database
from app.store.db.postgres.identity import IDENTITY_SQL, Identity
from app.store.db.types import UtcDateTime, database_time
from app.store.jobs.holds import held_until, tell_of_holds
from app.store.jobs.init_writes import InitWrite, InitWriter
from app.store.jobs.rows import JOB_COLUMNS, UNREADABLE, job_of
from app.store.jobs.tables import schedule_jobs
from app.store.jobs.transitions import OWNED, TransitionWriter, write_transitions

LOOK_AGAIN: Final = timedelta(minutes=10)
"""How long a row is put off that this version cannot read."""

_jobs = schedule_jobs.c

_WRITTEN: Final = (
    "status",
    "claim_token",
    "claimed_by",
    "claimed_at",
    "next_attempt_at",
    "held_since",
    "updated_at",
)
_OF_ENDS: Final = (
    "failure_reason",
    "delivery",
    "post_id",
    "post_ids",
    "post_url",
    "availability",
    "posted_at",
    "discarded_at",
    "confirm_at",
    "confirm_tries",
)
"""Columns that are empty until a job is over."""

_FOR_PEOPLE: Final = ("created_by",)
_UNREAD: Final = frozenset({*_WRITTEN, *_OF_ENDS, *_FOR_PEOPLE})
_READ: Final = tuple(name for name in JOB_COLUMNS if name not in _UNREAD)
"""The columns that a claim reads; it knows those that it writes."""


class TakenOver(Struct, frozen=True):
    """A claim taken over from a worker that let its lease run out."""

    job: Job
    worker: str
    change: Transition  # what its attempt came to


# What each claim says itself.
_NOW: Final = bindparam("now", type_=UtcDateTime())
_DUE_BY: Final = bindparam("due_by", type_=UtcDateTime())

_SERVER: Final = (
    select(literal_column(IDENTITY_SQL, Text())).scalar_subquery().label("server")
)


def _next_due(*, watched: bool, asks_server: bool) -> Select[Any]:
    waiting = _jobs.next_attempt_at.is_not(None)
    statement = select(func.min(_jobs.next_attempt_at).label("due")).where(waiting)
    if watched:
        statement = statement.add_columns(database_time().label("theirs"))
    return statement.add_columns(_SERVER) if asks_server else statement


_NEXT_DUE: Final = {
    (watched, asks_server): _next_due(watched=watched, asks_server=asks_server)
    for watched in (False, True)
    for asks_server in (False, True)
}


class Claimed(Struct, frozen=True):
    """The result of one claim."""

    jobs: tuple[Job, ...]  # owned now, the longest scheduled first
    taken_over: tuple[TakenOver, ...] = ()
    held: int = 0  # put off, as their project is held
    unreadable: tuple[str, ...] = ()  # ids of rows that are put off
    found: int = 0  # how many rows were due, whatever became of them

    @property
    def failed(self) -> int:
        """Return how many jobs were taken over after their last attempt."""
        return sum(each.change.to is JobStatus.FAILED for each in self.taken_over)


class ClaimStore:
    """Claims due jobs and writes under their claim tokens.

    Attempts that write at the same time share one statement, each under its own token:
    many rows cost the database little more than one.
    """

    def __init__(
        self,
        database: Database,
        *,
        lease: timedelta,
        watch: ClockWatch | None = None,
        witness: Witness | None = None,
    ) -> None:
        """Take the lease of a claim, and who remembers the inits.

        With a ``watch``, a job is claimed only when it is due by the database's clock,
        too, and none while the two clocks are too far apart. SQLite uses our clock.
        """
        self._database = database
        self.lease = lease
        self._watch = None if database.is_sqlite else watch
        self.witness = witness or Witness()
        self._taking: dict[bool, ReturningUpdate[Any]] = {}  # by whether it asks
        self._init_writer = InitWriter(database, witness=self.witness)
        self._transition_writer = TransitionWriter(database, witness=self.witness)

    async def claim_due(
        self,
        *,
        now: datetime,
        limit: int,
        worker: str,
        retry: RetryPolicy,
        random: Random,
        due_by: datetime | None = None,
        server: Identity | None = None,
    ) -> Claimed:
        """Take up to ``limit`` jobs that are due, each for this worker alone.

        If a job's former worker let its lease run out, that attempt's end is decided
        with ``retry`` and committed together with the claim. ``due_by`` leaves out jobs
        that fall due later. Raises AnotherServer if another one than ``server``
        answers: nothing is claimed there.
        """
        claim = self._claim(now, worker)
        asked = {"now": now, "due_by": due_by or now, "most": limit, **_new(claim)}
        async with self._database.write() as connection:
            self._expect(server)
            found = (await connection.execute(self._take(), asked)).all()
            self._expect(server, *found[:1])
            taken = _readable(found, claim)
            rows = [row for row in found if row.id in taken]
            unreadable = tuple(row.id for row in found if row.id not in taken)
            if any(_relies_on_it(row, taken.get(row.id)) for row in found):
                await self._database.durably(connection)
            await _set_aside(connection, unreadable, now=now)
            taken_over = tuple(
                _taken_over(taken[row.id], row.abandoned_by, now, retry, random)
                for row in filter(attrgetter("abandoned_by"), rows)
            )
            taken |= await _end(connection, taken_over, now=now)
            held = _held(rows, taken, now)
            taken |= await _put_off(connection, held, now=now)
        jobs = _still_claimed(taken)
        self.witness.note_claimed(jobs)
        return Claimed(jobs, taken_over, len(held), unreadable, found=len(found))

    async def next_due(self) -> datetime | None:
        """Return when the next job falls due, None if none is waiting."""
        statement = _NEXT_DUE[self._watch is not None, self._asks_server]
        async with self._database.read() as connection:
            asked_at = self._watch.now() if self._watch is not None else None
            row = (await connection.execute(statement)).one()
        self._expect(None, row)
        if self._watch is not None and asked_at is not None:
            self._watch.note(row.theirs, asked_at=asked_at)
        due: datetime | None = row.due
        return due

    async def renew(
        self, job_ids: Collection[str], claim_token: str, *, now: datetime
    ) -> frozenset[str]:
        """Let one claim's jobs be owned for a whole lease from now on.

        Return those that are owned still. For when our clock was set: what lies ahead
        by the old time may be over, or far away, by the new one.
        """
        # Where there is a clock beside ours, ours may be the one that is wrong.
        dated: dict[str, Any] = {
            "next_attempt_at": now + self.lease,
            "updated_at": now,
        }
        if self._watch is not None:
            right, lease = database_time(), literal(self.lease, Interval())
            dated = {"next_attempt_at": right + lease, "updated_at": right}
        statement = (
            update(schedule_jobs)
            .where(_jobs.id.in_(job_ids), _jobs.claim_token == claim_token)
            .values(**dated)
            .returning(_jobs.id)
        )
        async with self._database.write() as connection:
            return frozenset((await connection.execute(statement)).scalars())

    async def stamp_init(
        self, job: Job, *, now: datetime, media_token: str | None = None
    ) -> Job | None:
        """Write that an init is about to go out, before it does.

        With a media token, its pull URL is valid from then on. None if the claim is
        lost or its lease over: the init must not be sent. The previous publish is
        recorded: TikTok's events about it are no news.
        """
        after = replace(
            job,
            init_sent_at=now,
            media_token=media_token,
            waiting_for=None,
            publish_id=None,
            publish_started_at=None,
            updated_at=now,
        )
        buries = job.publish_id is not None
        return await self._init_writer.write(
            InitWrite(job, after, buries=buries, is_stamp=True)
        )

    async def clear_init(self, job: Job, *, now: datetime) -> Job | None:
        """Write that TikTok did not take the init; None if the claim is lost."""
        after = replace(job, init_sent_at=None, updated_at=now)
        return await self._init_writer.write(InitWrite(job, after))

    async def save_publish_id(
        self, job: Job, publish_id: str, *, now: datetime
    ) -> Job | None:
        """Write TikTok's id before the first poll; None if the claim is lost."""
        after = replace(
            job, publish_id=publish_id, publish_started_at=now, updated_at=now
        )
        return await self._init_writer.write(InitWrite(job, after))

    async def apply(self, job: Job, change: Transition, *, now: datetime) -> Job | None:
        """Write an attempt's transition with its ledger row, or nothing at all.

        None if the claim is lost: someone else owns the job and its outcome.
        """
        return await self._transition_writer.write(job, change, now=now)

    def _expect(self, server: Identity | None, row: Row[Any] | None = None) -> None:
        """Raise AnotherServer where another one answers than the one wanted.

        A session stays with its server; behind a pooler each statement says whose it
        is.
        """
        lineage = self._database.lineage
        if lineage is not None:
            lineage.hear(getattr(row, "server", None))
            if server is not None:
                lineage.expect(server)

    @property
    def _asks_server(self) -> bool:
        sessions = self._database.sessions
        return (
            sessions is not None and sessions.pooled and not sessions.lineage.is_hidden
        )

    def _claim(self, now: datetime, worker: str) -> dict[str, Any]:
        return {
            "status": JobStatus.PROCESSING,
            "claim_token": uuid4().hex,
            "claimed_by": worker,
            "claimed_at": now,
            # Visibility time-out: the lease's end is when it may be claimed again.
            "next_attempt_at": now + self.lease,
            "held_since": None,
            "updated_at": now,
        }

    def _due(self) -> ColumnElement[bool]:
        """Match jobs that are due by both clocks, while the two agree."""
        if self._watch is None:
            return _jobs.next_attempt_at <= _DUE_BY
        theirs, tolerance = database_time(), literal(self._watch.tolerance, Interval())
        return and_(
            _jobs.next_attempt_at <= func.least(_DUE_BY, theirs),
            _NOW.between(theirs - tolerance, theirs + tolerance),
        )

    def _take(self) -> ReturningUpdate[Any]:
        """Return the statement that claims; making it costs as much as running it."""
        asks_server = self._asks_server
        if asks_server not in self._taking:
            self._taking[asks_server] = self._made(asks_server=asks_server)
        return self._taking[asks_server]

    def _made(self, *, asks_server: bool) -> ReturningUpdate[Any]:
        due = self._due()
        order = _jobs.next_attempt_at, _jobs.id
        most = bindparam("most", type_=Integer())
        first = select(_jobs.id).where(due).order_by(*order).limit(most)
        was_processing = _jobs.status == JobStatus.PROCESSING
        asked = (_SERVER,) if asks_server else ()
        claim = {
            name: bindparam(f"new_{name}", type_=_jobs[name].type) for name in _WRITTEN
        }
        return (
            update(schedule_jobs)
            .where(self._database.unlocked(first), due)
            .values(
                **claim,
                # Processing without a token was handed on; with one, abandoned.
                abandoned_by=case((_jobs.claim_token.is_not(None), _jobs.claimed_by)),
                attempt_started_at=case(
                    (was_processing, func.coalesce(_jobs.attempt_started_at, _NOW)),
                    else_=_NOW,
                ),
            )
            .returning(
                *[_jobs[name] for name in _READ],
                _jobs.abandoned_by,
                held_until(_NOW),
                *asked,
                # Under a new post's claim nothing is sent before its mark.
                *self._database.lazily,
            )
        )


def _new(claim: Mapping[str, Any]) -> dict[str, Any]:
    """Name the parameters of what a claim writes."""
    return {f"new_{name}": value for name, value in claim.items()}


def _relies_on_it(row: Row[Any], job: Job | None) -> bool:
    """Tell whether a claim's commit must be on the disk before the work begins.

    It ends another attempt, or puts the job off; or TikTok may be sent more of a
    publish, which two workers would disturb.
    """
    if job is None or job.in_flight:
        return True
    return bool(row.abandoned_by or row.held_until)


def _still_claimed(taken: Mapping[str, Job]) -> tuple[Job, ...]:
    claimed = (job for job in taken.values() if job.claim_token is not None)
    return tuple(sorted(claimed, key=attrgetter("scheduled_for")))


def _readable(rows: Iterable[Row[Any]], claim: Mapping[str, Any]) -> dict[str, Job]:
    """Read claimed rows one by one: an unreadable one must not stop the others."""
    jobs = (_job_unless_unreadable(row, claim) for row in rows)
    return {job.id: job for job in jobs if job is not None}


def _job_unless_unreadable(row: Sequence[Any], claim: Mapping[str, Any]) -> Job | None:
    values = dict(zip(_READ, row, strict=False))  # the row ends with other columns
    values |= claim
    try:
        return job_of(values)
    except UNREADABLE:
        return None


def _taken_over(
    job: Job, worker: str, now: datetime, retry: RetryPolicy, random: Random
) -> TakenOver:
    end = decide(job, Abandoned(worker=worker), now=now, policy=retry, random=random)
    return TakenOver(job, worker, end)


async def _end(
    connection: AsyncConnection, taken_over: Iterable[TakenOver], *, now: datetime
) -> dict[str, Job]:
    """Write the ends of attempts that were taken over."""
    ends = [(each.job, each.change) for each in taken_over]
    return await write_transitions(connection, ends, guard=OWNED, now=now)


def _held(
    rows: Iterable[Row[Any]], taken: Mapping[str, Job], now: datetime
) -> list[tuple[Job, datetime]]:
    """Return the claimed jobs under a hold, and until when each waits.

    At the latest until its deadline, when its attempt ends it before any call.
    """
    return [
        (job, min(row.held_until, _deadline(job, now) or row.held_until))
        for row in rows
        if row.held_until is not None and _may_be_held(job := taken[row.id], now)
    ]


def _may_be_held(job: Job, now: datetime) -> bool:
    """Tell whether a hold applies to a claimed job.

    Not to one in flight, nor to one whose deadline has passed; an upload that is under
    way would go on after it.
    """
    if job.claim_token is None or job.in_flight:
        return False
    is_open = job.publish_by is None or _deadline(job, now) is not None
    return is_open or job.upload_url is not None


def _deadline(job: Job, now: datetime) -> datetime | None:
    """Return a job's ``publish_by``, unless it has passed."""
    by = job.publish_by
    return by if by is not None and by > now else None


async def _put_off(
    connection: AsyncConnection, held: Sequence[tuple[Job, datetime]], *, now: datetime
) -> dict[str, Job]:
    """Free the claims of held jobs; that counts no attempt."""
    if not held:
        return {}
    changes = [(job, given_back(job, at=until)) for job, until in held]
    freed = await write_transitions(connection, changes, guard=OWNED, now=now)
    marked = update(schedule_jobs).where(_jobs.id.in_(list(freed)))
    await connection.execute(marked.values(held_since=now))
    await tell_of_holds(connection, freed.values(), now=now)
    return freed


async def _set_aside(
    connection: AsyncConnection, ids: Collection[str], *, now: datetime
) -> None:
    """Free the claims of rows that cannot be read, and try them again later.

    The claim has overwritten the status; it follows from the rest of the row.
    """
    if not ids:
        return
    status = case(
        (_jobs.init_sent_at.is_not(None), JobStatus.PROCESSING),
        (_jobs.publish_id.is_not(None), JobStatus.PROCESSING),
        (_jobs.attempts > 0, JobStatus.RETRYING),
        else_=JobStatus.SCHEDULED,
    )
    await connection.execute(
        update(schedule_jobs)
        .where(_jobs.id.in_(ids))
        .values(
            status=status,
            next_attempt_at=now + LOOK_AGAIN,
            claim_token=null(),
            claimed_by=null(),
            claimed_at=null(),
            abandoned_by=null(),
        )
    )
