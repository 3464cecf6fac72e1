"""The worker's side of the jobs table: claim, and write what the claim allows."""

from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from operator import attrgetter
from typing import Any, Final
from uuid import uuid4

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import (
    Interval,
    Row,
    Select,
    Update,
    and_,
    case,
    func,
    literal,
    null,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.errors import StoreUnavailable, WriteUnknown
from app.domain.jobs.backoff import Random, RetryPolicy
from app.domain.jobs.job import Job, JobStatus
from app.domain.jobs.lifecycle import decide
from app.domain.jobs.outcome import Abandoned
from app.domain.jobs.transition import Transition, given_back
from app.domain.jobs.witness import Witness
from app.machine.clock import ClockWatch
from app.store.db.engine import Database
from app.store.db.postgres.identity import AnotherServer, Identity
from app.store.db.types import database_time
from app.store.jobs.claim_statements import READ, SERVER, ClaimStatements
from app.store.jobs.holds import tell_of_holds
from app.store.jobs.init_writes import InitWrite, InitWriter
from app.store.jobs.rows import UNREADABLE, job_of_told
from app.store.jobs.tables import IS_PROCESSING, schedule_jobs
from app.store.jobs.transitions import OWNED, TransitionWriter, write_transitions

LOOK_AGAIN: Final = timedelta(minutes=10)
"""How long a row is put off that this version cannot read."""

_jobs = schedule_jobs.c


class TakenOver(Struct, frozen=True):
    """A claim taken over from a worker that let its lease run out."""

    job: Job
    worker: str
    change: Transition  # what its attempt came to


def _next_due(*, watched: bool, asks_server: bool) -> Select[Any]:
    waiting = _jobs.next_attempt_at.is_not(None)
    statement = select(func.min(_jobs.next_attempt_at).label("due")).where(waiting)
    if watched:
        statement = statement.add_columns(database_time().label("theirs"))
    return statement.add_columns(SERVER) if asks_server else statement


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

    def with_others(self, others: "Claimed") -> "Claimed":
        """Add a claim of what this one left."""
        return Claimed(
            _longest_scheduled_first(self.jobs + others.jobs),
            others.taken_over,
            others.held,
            self.unreadable + others.unreadable,
            found=len(self.jobs) + len(self.unreadable) + others.found,
        )

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
        self._statements = ClaimStatements(database, self._watch)
        self._doubtful = set[str]()  # tokens of claims that may have been written
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
        await self._free_doubtful(now)
        ask = _Ask(now=now, due_by=due_by or now, worker=worker, server=server)
        plain = await self._claim_plain(ask, limit)
        if plain.jobs and plain.found == len(plain.jobs):
            return plain
        end = partial(_taken_over, now=now, retry=retry, random=random)
        try:
            others = await self._claim_any(ask, limit - len(plain.jobs), end)
        except (StoreUnavailable, AnotherServer):
            if not plain.jobs:
                raise
            return plain  # whatever is claimed is worked on
        return plain.with_others(others)

    async def _claim_plain(self, ask: "_Ask", limit: int) -> Claimed:
        """Claim jobs that need no more than that, in one round trip; on Postgres only.

        Not behind a pooler, where another server may answer: what it wrote could not be
        taken back without a transaction.
        """
        if self._database.is_sqlite or self._asks_server:
            return Claimed(())
        claim = self._claim(ask)
        with self._doubting(claim):
            rows = await self._database.run(
                self._statements.taking_plain,
                ask.values(claim, limit),
                before=partial(self._expect, ask.server),
            )
        taken = _readable(rows, claim)
        unreadable = tuple(row.id for row in rows if row.id not in taken)
        if unreadable:
            with suppress(StoreUnavailable):  # then their lease ends it
                async with self._database.write() as connection:
                    await _set_aside(connection, unreadable, now=ask.now)
        jobs = self._owned(taken)
        found = rows[0].found if rows else 0
        return Claimed(jobs, unreadable=unreadable, found=found)

    async def _claim_any(
        self, ask: "_Ask", limit: int, end: Callable[[Job, str], TakenOver]
    ) -> Claimed:
        """Claim jobs of every kind, in one transaction with what that ends."""
        now, claim = ask.now, self._claim(ask)
        statement = self._statements.taking_any(asks_server=self._asks_server)
        with self._doubting(claim):
            async with self._database.write() as connection:
                self._expect(ask.server)
                values = ask.values(claim, limit)
                found = (await connection.execute(statement, values)).all()
                self._expect(ask.server, *found[:1])
                taken = _readable(found, claim)
                rows = [row for row in found if row.id in taken]
                unreadable = tuple(row.id for row in found if row.id not in taken)
                if any(_relies_on_it(row, taken.get(row.id)) for row in found):
                    await self._database.durably(connection)
                await _set_aside(connection, unreadable, now=now)
                taken_over = tuple(
                    end(taken[row.id], row.abandoned_by)
                    for row in filter(attrgetter("abandoned_by"), rows)
                )
                taken |= await _end(connection, taken_over, now=now)
                held = _held(rows, taken, now)
                taken |= await _put_off(connection, held, now=now)
        jobs = self._owned(taken)
        return Claimed(jobs, taken_over, len(held), unreadable, found=len(found))

    def _owned(self, taken: Mapping[str, Job]) -> tuple[Job, ...]:
        """Return the jobs that are claimed still, the longest scheduled first."""
        claimed = (job for job in taken.values() if job.claim_token is not None)
        jobs = _longest_scheduled_first(claimed)
        self.witness.note_claimed(jobs)
        return jobs

    @contextmanager
    def _doubting(self, claim: Mapping[str, Any]) -> Iterator[None]:
        """Note the token of a claim of which nobody knows whether it was written."""
        try:
            yield
        except WriteUnknown:
            self._doubtful.add(claim["claim_token"])
            raise

    async def _free_doubtful(self, now: datetime) -> None:
        """Free what was claimed without our knowing: nobody works on it."""
        if not self._doubtful:
            return
        tokens = frozenset(self._doubtful)
        # The literal, so that the planner finds the small index.
        is_its = and_(IS_PROCESSING, _jobs.claim_token.in_(tokens))
        async with self._database.write() as connection:
            await connection.execute(_freed(now).where(is_its))
        self._doubtful -= tokens

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

    def _claim(self, ask: "_Ask") -> dict[str, Any]:
        return {
            "status": JobStatus.PROCESSING,
            "claim_token": uuid4().hex,
            "claimed_by": ask.worker,
            "claimed_at": ask.now,
            # Visibility time-out: the lease's end is when it may be claimed again.
            "next_attempt_at": ask.now + self.lease,
            "held_since": None,
            "updated_at": ask.now,
        }


class _Ask(Struct, frozen=True, kw_only=True):
    """What a claim asks for."""

    now: datetime
    due_by: datetime
    worker: str
    server: Identity | None

    def values(self, claim: Mapping[str, Any], limit: int) -> dict[str, Any]:
        """Return the parameters of a statement that claims."""
        new = {f"new_{name}": value for name, value in claim.items()}
        return {"now": self.now, "due_by": self.due_by, "most": limit, **new}


def _longest_scheduled_first(jobs: Iterable[Job]) -> tuple[Job, ...]:
    return tuple(sorted(jobs, key=attrgetter("scheduled_for")))


def _relies_on_it(row: Row[Any], job: Job | None) -> bool:
    """Tell whether a claim's commit must be on the disk before the work begins.

    It ends another attempt, or puts the job off; or TikTok may be sent more of a
    publish, which two workers would disturb.
    """
    if job is None or job.in_flight:
        return True
    return bool(row.abandoned_by or row.held_until)


def _readable(rows: Iterable[Row[Any]], claim: Mapping[str, Any]) -> dict[str, Job]:
    """Read claimed rows one by one: an unreadable one must not stop the others."""
    new = {name: value for name, value in claim.items() if value is not None}
    jobs = (_job_unless_unreadable(row, new) for row in rows)
    return {job.id: job for job in jobs if job is not None}


def _job_unless_unreadable(row: Sequence[Any], claim: Mapping[str, Any]) -> Job | None:
    columns = zip(READ, row, strict=False)  # the row ends with other columns
    told = {name: value for name, value in columns if value is not None}
    told |= claim
    try:
        return job_of_told(told)
    except UNREADABLE:
        return None


def _taken_over(
    job: Job, worker: str, *, now: datetime, retry: RetryPolicy, random: Random
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
    """Free the claims of rows that cannot be read, and try them again later."""
    if ids:
        put_off = _freed(now + LOOK_AGAIN).where(_jobs.id.in_(ids))
        await connection.execute(put_off)


def _freed(at: datetime) -> Update:
    """Free claims; the status that a claim has overwritten follows from the rest."""
    status = case(
        (_jobs.init_sent_at.is_not(None), JobStatus.PROCESSING),
        (_jobs.attempts > 0, JobStatus.RETRYING),
        else_=JobStatus.SCHEDULED,
    )
    return update(schedule_jobs).values(
        status=status,
        next_attempt_at=at,
        claim_token=null(),
        claimed_by=null(),
        claimed_at=null(),
        abandoned_by=null(),
    )
