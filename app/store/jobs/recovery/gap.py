"""The gap that a fail-over leaves: what fell due in it, and nobody can tell of."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from sqlalchemy import TIMESTAMP, ColumnElement, and_, func, or_, select, true, update

from app.domain.codes import FAILED_OVER
from app.domain.jobs import transition as become
from app.domain.jobs.job import ErrorClass, Job
from app.domain.jobs.outcome import Fault
from app.domain.jobs.transition import Transition
from app.store.db.engine import Database
from app.store.db.postgres.identity import Identity
from app.store.jobs.recovery.restored import end_each, may_be_posted
from app.store.jobs.tables import schedule_jobs
from app.store.runners import runners

_jobs = schedule_jobs.c
_LOST: Final = Fault(
    error_class=ErrorClass.TRANSIENT,
    code=FAILED_OVER,
    message="the database failed over and may have lost that it was sent",
)


class Gap(Struct, frozen=True, kw_only=True):
    """From the last commit that the new server has to its first answer."""

    server: Identity
    began: datetime
    noticed: datetime
    answered: Collection[str]  # the runners that have put back what they know
    missing: Collection[str]  # those that ran when it began, and did not answer


class GapStore:
    """Holds what may have been sent in a gap, and closes it."""

    def __init__(self, database: Database, *, shortest_retry: timedelta) -> None:
        """Take how soon an attempt may follow another.

        In a longer gap there may have been one that the row of a former one hides.
        """
        self._database = database
        self._shortest_retry = shortest_retry

    async def began(self) -> datetime | None:
        """Return the time of the last commit that was replicated.

        None if the server was started anew since, or does not tell.
        """
        asked = select(func.pg_last_xact_replay_timestamp(type_=TIMESTAMP(True)))
        return await self._database.value(asked)

    async def close(self, gap: Gap, *, now: datetime) -> int:
        """Hold what nobody can tell of, then let jobs be claimed; return how many.

        Raises StoreUnavailable; harmless if repeated.
        """
        held = await self._hold(gap, now) if gap.missing else 0
        known = runners.c.server
        settled = update(runners).where(known != str(gap.server)).values(server=None)
        async with self._database.single() as connection:
            await connection.execute(settled)
        return held

    async def _hold(self, gap: Gap, now: datetime) -> int:
        error = _LOST.to_error(now)

        def doubt(job: Job) -> Transition:
            due = job.claimed_at or job.next_attempt_at or now
            return become.doubted(job, error=error, sent_at=max(due, gap.began))

        return await end_each(
            self._database,
            self._in_doubt(gap),
            doubt,
            now=now,
            # The lost init had another link: this one's proves nothing.
            forgets={"media_token": None},
        )

    def _in_doubt(self, gap: Gap) -> ColumnElement[bool]:
        """Match what those who are missing may have sent.

        What they had claimed when the gap began, and what was anybody's to claim.
        """
        anybodys = and_(
            _jobs.claim_token.is_(None), _jobs.next_attempt_at <= gap.noticed
        )
        theirs = and_(
            _jobs.claim_token.is_not(None), _jobs.claimed_by.not_in(gap.answered)
        )
        is_long = gap.noticed - gap.began >= self._shortest_retry
        return and_(
            may_be_posted(gap.noticed),
            or_(anybodys, theirs),
            # One that is open is followed, whoever sent it.
            true() if is_long else _jobs.init_sent_at.is_(None),
        )
