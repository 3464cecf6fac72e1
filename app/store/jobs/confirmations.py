"""Ended jobs whose outcome is in doubt, and the evidence about it."""

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    TextClause,
    and_,
    exists,
    func,
    literal_column,
    or_,
    select,
    update,
)
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from app.domain.jobs.job import Job, Transfer
from app.domain.jobs.transition import Transition
from app.domain.posts.post import MediaType
from app.domain.tiktok_event import ToldOfPost
from app.store.accounts.ownership import of_person, projects_of
from app.store.db.engine import Store
from app.store.db.types import unseen, unseen_since
from app.store.jobs.requests.changes import written_since
from app.store.jobs.rows import readable, shown_from_row
from app.store.jobs.tables import (
    DID_NOT_POST,
    job_attempts,
    schedule_jobs,
    tiktok_events,
)
from app.store.jobs.tiktok_events import INIT_TOLD_WITHIN
from app.store.jobs.transitions import UNCHANGED, write_transitions
from app.store.retention.tombstones import (
    left_an_init,
    lost_inits,
    past_publishes,
    was_followed,
)

_Condition = ColumnElement[bool] | TextClause
_Columns = ReadOnlyColumnCollection[str, Any]
_jobs = schedule_jobs.c
_attempts = job_attempts.c
_events = tiktok_events.c

LEASE: Final = timedelta(minutes=2)
"""How long a worker has for a check before another may try."""

# The forms of publish_ids seen in practice; TikTok documents none, and they only rule
# something out.
_PULLED: Final = {
    MediaType.VIDEO: ("v_pub_url", "v_inbox_url"),
    MediaType.PHOTO: ("p_pub_url", "p_inbox_url"),
}
_UPLOADED: Final = ("v_pub_file", "v_inbox_file")


class ConfirmationStore(Store):
    """Claims ended jobs to check again, and corrects their record."""

    async def claim_due(self, *, now: datetime, limit: int) -> tuple[Job, ...]:
        """Claim jobs to check again."""
        due = _jobs.confirm_at <= now
        first = select(_jobs.id).where(due).order_by(_jobs.confirm_at).limit(limit)
        statement = (
            update(schedule_jobs)
            .where(self._database.unlocked(first), due)
            .values(confirm_at=now + LEASE, updated_at=now)
            .returning(schedule_jobs)
        )
        async with self._database.write() as connection:
            rows = (await connection.execute(statement)).mappings().all()
        return readable(rows)

    async def apply(self, job: Job, change: Transition, *, now: datetime) -> Job | None:
        """Correct a job's record; None if it changed since it was claimed."""
        async with self._database.write() as connection:
            written = await write_transitions(
                connection, [(job, change)], guard=UNCHANGED, now=now
            )
        return written.get(job.id)

    async def orphan(self, job: Job, open_id: str, *, since: datetime) -> str | None:
        """Return the publish_id that can only belong to this job's unanswered init.

        None if TikTok's events name no publish without a job, or several, or if it
        could belong to another init of the account. It is one statement: a publish that
        gets its job meanwhile must not look like one without.
        """
        lost = _LostInit(job, open_id, since)
        publishes = lost.publishes_of_nobody().subquery()
        pulled = _has_shape(publishes.c.publish_id, _PULLED[job.post.media_type])
        statement = select(
            func.count(),
            func.min(publishes.c.publish_id),
            func.count().filter(pulled),
            exists(lost.uploads()),
        ).where(
            ~exists(lost.other_open_inits()),
            ~exists(lost.inits_left_by_attempts()),
            ~exists(lost.inits_of_deleted_jobs()),
        )
        async with self._database.read() as connection:
            count, publish_id, surely_pulled, uploads = (
                await connection.execute(statement.select_from(publishes))
            ).one()
        is_ours = count == 1 and (surely_pulled or not uploads)
        return publish_id if is_ours else None

    async def told(self, job: Job) -> ToldOfPost:
        """Return what TikTok's signed events say about a job's publish."""
        conditions = [_events.publish_id == job.publish_id]
        if job.open_id is not None:
            conditions.append(_events.open_id == job.open_id)
        statement = (
            select(_events.event, _events.post_id)
            .where(*conditions)
            .order_by(_events.created_at, _events.id)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(statement)).all()
        return ToldOfPost.of((row.event, row.post_id) for row in rows)

    async def without_post_id(
        self, job: Job, open_id: str, *, since: datetime
    ) -> tuple[Job, ...]:
        """Return the account's other jobs that a video made since then may be of."""
        statement = select(schedule_jobs).where(
            of_person(job.platform, open_id),
            _jobs.id != job.id,
            _jobs.init_sent_at >= since,
            written_since(since),
            _jobs.post_id.is_(None),
        )
        rows = await self._database.rows(statement)
        return tuple(shown_from_row(row) for row in rows)

    async def is_known(
        self, job: Job, open_id: str, post_id: str, *, since: datetime
    ) -> bool:
        """Tell whether a job of the person already has this video, made since then."""
        statement = select(
            exists().where(
                of_person(job.platform, open_id),
                _jobs.post_id == post_id,
                written_since(since),
            )
        )
        return await self._database.value(statement)


class _LostInit:
    """Selects what may have to do with a job's unanswered init.

    To plan all of it takes Postgres several times as long as to run it: so the planner
    sees no value, and is left no choice but to look rows up in indexes. (OFFSET 0: a
    sub-query is run for each row, and not joined with the whole table.)
    """

    def __init__(self, job: Job, open_id: str, since: datetime) -> None:
        self._job = job
        self._open_id = open_id
        self._since = since
        self._told_since = since - INIT_TOLD_WITHIN
        of_late = select(
            _jobs.id,
            _jobs.status,
            _jobs.transfer,
            _jobs.attempt_number,
            _jobs.init_sent_at,
            _jobs.publish_id,
            _jobs.updated_at,
        ).where(of_person(job.platform, open_id), written_since(self._told_since))
        self._of_late = of_late.cte("of_late").c

    def publishes_of_nobody(self) -> Select[str]:
        """Select publishes first named by TikTok's events since then that no job has.

        A job's row holds only its newest publish_id; the ledger holds the earlier ones.
        Those of attempts that posted have no index, for the sake of every post: they
        are found by their jobs, which were written when another publish followed.
        """
        events, jobs = self._events_of_nobody(), self._of_late
        attempt = _has(
            job_attempts,
            _attempts.job_id == jobs.id,
            _attempts.publish_id == events.publish_id,
        )
        posted_once = exists(select(jobs.id).where(attempt))
        # An expression, or SQLite would read the index of every publish for the
        # DISTINCT.
        named = events.publish_id.concat("").label("publish_id")
        return select(named).where(~posted_once).distinct()

    def _events_of_nobody(self) -> _Columns:
        earlier = tiktok_events.alias("earlier")
        publish_id = _events.publish_id
        found = select(publish_id).where(
            _events.open_id == unseen(self._open_id),
            unseen_since(_events.received_at, self._since),
            publish_id.is_not(None),
            ~_has(schedule_jobs, _jobs.publish_id == publish_id),
            ~_has(job_attempts, _attempts.publish_id == publish_id, DID_NOT_POST),
            ~_has(
                earlier,
                earlier.c.publish_id == publish_id,
                earlier.c.received_at < unseen(self._since),
            ),
            ~_has(past_publishes, past_publishes.c.publish_id == publish_id),
            ~_has_shape(publish_id, _not_of(self._job.post.media_type)),
        )
        return found.offset(0).subquery().c

    def uploads(self) -> Select[str]:
        """Select the account's push jobs that were active since then.

        An unanswered init of such a job leaves no trace, and TikTok may send an event
        that it failed: that publish_id is not this job's.
        """
        return select(self._of_late.id).where(
            self._of_late.transfer == Transfer.PUSH,
            self._of_late.updated_at >= self._told_since,
        )

    def other_open_inits(self) -> Select[str]:
        """Select other inits of the account whose publish_id is unknown."""
        return select(self._of_late.id).where(
            self._of_late.id != self._job.id,
            self._of_late.init_sent_at >= self._told_since,
            self._of_late.publish_id.is_(None),
        )

    def inits_left_by_attempts(self) -> Select[str]:
        """Select jobs with an unanswered init that was followed by another.

        A person or the operator accepted that risk. TikTok may still send events about
        such an init; they are not about this job's current one.
        """
        jobs = self._of_late
        own, ended = jobs.id == self._job.id, _attempts.finished_at
        return select(jobs.id).where(
            _has(
                job_attempts,
                left_an_init(jobs),
                ended >= self._told_since,
                or_(
                    and_(own, ended < self._job.init_sent_at),
                    and_(~own, was_followed(jobs)),
                ),
            )
        )

    def inits_of_deleted_jobs(self) -> Select[str]:
        """Select such inits of deleted jobs."""
        columns = lost_inits.c
        platform = self._job.platform
        return select(columns.job_id).where(
            columns.platform == unseen(platform),
            columns.project_id.in_(projects_of(platform, self._open_id)),
            unseen_since(columns.left_at, self._told_since),
        )


def _has(table: FromClause, *which: _Condition) -> ColumnElement[bool]:
    """Tell of each row whether there is such a one in another table."""
    one: ColumnElement[int] = literal_column("1")
    found = select(one).select_from(table).where(*which).offset(0)
    return exists(found.correlate_except(table))


def _not_of(media: MediaType) -> tuple[str, ...]:
    """Return the prefixes of ids that a pull of this media never gets."""
    others = (each for kind, each in _PULLED.items() if kind is not media)
    return (*_UPLOADED, *(prefix for prefixes in others for prefix in prefixes))


def _has_shape(
    publish_id: ColumnElement[str], beginnings: tuple[str, ...]
) -> ColumnElement[bool]:
    return or_(*(publish_id.startswith(each, autoescape=True) for each in beginnings))
