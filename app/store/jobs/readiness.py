"""The readiness of jobs: found as they are stored, and by checks before their time."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    FromClause,
    String,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    literal_column,
    null,
    select,
    type_coerce,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.accounts.account import REMOVALS, SCOPE_REASONS, AccountStatus
from app.domain.accounts.account_readiness import (
    GRANT_ENDS,
    NO_ACCOUNT,
    OTHER_ACCOUNT,
    lost_problem,
)
from app.domain.events import EventType, puts_at_risk
from app.domain.jobs.job import Job
from app.domain.jobs.readiness import Readiness, ReadinessProblem
from app.store.accounts.tables import accounts
from app.store.db.engine import Store
from app.store.db.types import Json, UtcDateTime
from app.store.jobs.rows import problem_to_json, readable, readiness_to_json
from app.store.jobs.tables import schedule_jobs
from app.store.webhooks.outbox import JOB_LISTENER, job_events, tell

LEASE: Final = timedelta(minutes=2)
"""How long a worker has for a check before another may try."""

_MINUTE: Final = timedelta(minutes=1)
_jobs = schedule_jobs.c
_accounts = accounts.c
# A literal, so that the planner uses the partial index.
_SCHEDULED = _jobs.status == literal_column("'scheduled'")


def with_account(jobs: FromClause) -> FromClause:
    """Join each job with the account that its project has connected, if any."""
    mine = and_(
        _accounts.project_id == jobs.c.project_id,
        _accounts.platform == jobs.c.platform,
    )
    return jobs.outerjoin(accounts, mine)


def account_trouble(
    scheduled_for: ColumnElement[datetime],
    open_id: ColumnElement[Any] | None = None,
) -> ColumnElement[str | None]:
    """Return JSON of what stops a job because of its joined account; NULL if nothing.

    A job without an ``open_id`` is for the connected account.
    """
    reason = _accounts.reconnect_reason
    lost = and_(
        _accounts.status == _text(AccountStatus.RECONNECT_REQUIRED),
        reason.is_(None) | reason.not_in([_text(each) for each in SCOPE_REASONS]),
    )
    ends = and_(
        _accounts.refresh_token_expires_at <= scheduled_for,
        _accounts.access_token_expires_at <= scheduled_for,
    )
    others = (
        []
        if open_id is None
        else [(_accounts.open_id != open_id, _json(OTHER_ACCOUNT))]
    )
    return case(
        (_accounts.open_id.is_(None), _json(NO_ACCOUNT)),
        *others,
        (and_(lost, reason.is_(None)), _json(lost_problem(None))),
        *(
            (and_(lost, reason == _text(each)), _json(lost_problem(each)))
            for each in sorted(REMOVALS)
        ),
        (lost, _json(lost_problem(None))),
        (ends, _json(GRANT_ENDS)),
        else_=null(),
    )


def first_readiness(
    found: Sequence[ColumnElement[str | None]],
    looked_at: ColumnElement[str],
    *,
    is_sqlite: bool,
) -> ColumnElement[Any]:
    """Return a readiness of two lists of problems, NULL if there are none.

    Each is the inside of a JSON list, NULL if it is empty.
    """
    one, other = found
    both = case(
        (one.is_(None), other), (other.is_(None), one), else_=one + ", " + other
    )
    head = literal('{"is_first": true, "checked_at": "') + looked_at
    text = head + '", "problems": [' + both + "]}"
    return type_coerce(text, Json) if is_sqlite else cast(text, Json)


def problems_in_json(readiness: Readiness | None) -> str | None:
    """Return the inside of a JSON list of problems."""
    if readiness is None:
        return None
    return ", ".join(
        json.dumps(problem_to_json(problem)) for problem in readiness.problems
    )


async def readiness_after_change(
    connection: AsyncConnection, job: Job, *, now: datetime
) -> Readiness | None:
    """Return the first readiness of a changed job."""
    asked = select(
        literal(job.project_id).label("project_id"),
        literal(job.platform).label("platform"),
    ).subquery()
    trouble = account_trouble(
        literal(job.scheduled_for, UtcDateTime()), literal(job.open_id, Text())
    )
    found = await connection.execute(select(trouble).select_from(with_account(asked)))
    known = () if job.readiness is None else job.readiness.problems
    if (text := found.scalar_one()) is not None:
        known = (ReadinessProblem(**json.loads(text)), *known)
    return Readiness(now, known, is_first=True) if known else None


class ReadinessStore(Store):
    """Claims readiness checks, not jobs: it writes no status and no claim."""

    async def claim_due(self, *, now: datetime, limit: int) -> tuple[Job, ...]:
        """Claim jobs whose check is due."""
        due = and_(_SCHEDULED, _jobs.readiness_at <= now, _jobs.scheduled_for > now)
        first = select(_jobs.id).where(due).order_by(_jobs.readiness_at).limit(limit)
        statement = (
            update(schedule_jobs)
            .where(self._database.unlocked(first), due)
            .values(readiness_at=now + LEASE)
            .returning(schedule_jobs)
        )
        async with self._database.write() as connection:
            rows = (await connection.execute(statement)).mappings().all()
        return readable(rows)

    async def save(
        self, job: Job, found: Readiness, *, next_look: datetime | None
    ) -> bool:
        """Write a check's result; False if the job was changed or claimed meanwhile."""
        statement = (
            update(schedule_jobs)
            .where(
                _jobs.id == job.id,
                _SCHEDULED,
                _jobs.readiness_at == job.readiness_at,
            )
            .values(
                readiness=readiness_to_json(found),
                readiness_at=next_look,
                updated_at=found.checked_at,
            )
            .returning(schedule_jobs, JOB_LISTENER)
        )
        async with self._database.write() as connection:
            row = (await connection.execute(statement)).mappings().one_or_none()
            if row is not None and puts_at_risk(found, job.readiness):
                events = job_events([EventType.JOB_AT_RISK], row)
                await tell(connection, events, now=found.checked_at)
        return row is not None

    async def due_in_minute_of(self, job: Job, *, at_most: int) -> int:
        """Count the project's jobs due in the job's minute, up to a limit."""
        minute = job.scheduled_for.replace(second=0, microsecond=0)
        found = (
            select(_jobs.id)
            .where(
                _jobs.next_attempt_at >= minute,
                _jobs.next_attempt_at < minute + _MINUTE,
                _jobs.project_id == job.project_id,
                _jobs.platform == job.platform,
            )
            .limit(at_most)
            .subquery()
        )
        statement = select(func.count()).select_from(found)
        return await self._database.value(statement)


def _json(problem: ReadinessProblem) -> ColumnElement[str]:
    return _text(json.dumps(problem_to_json(problem)))


def _text(value: str) -> ColumnElement[str]:
    """Return a literal of the statement's text, which costs nothing per execution."""
    quoted = value.replace("'", "''")
    return literal_column(f"'{quoted}'", String())
