"""What can be told of a job as it is stored: by its account, and by its links."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    String,
    Text,
    and_,
    case,
    cast,
    literal,
    literal_column,
    null,
    select,
    type_coerce,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.accounts.account import REMOVALS, SCOPE_REASONS, AccountStatus
from app.domain.accounts.account_readiness import (
    CHANGED,
    GRANT_ENDS,
    NOT_CONNECTED,
    lost_problem,
)
from app.domain.jobs.job import Job
from app.domain.jobs.readiness import Readiness, ReadinessProblem
from app.store.accounts.tables import accounts
from app.store.db.types import Json, UtcDateTime
from app.store.jobs.rows import problem_to_json

_accounts = accounts.c


def with_account(jobs: FromClause) -> FromClause:
    """Put beside each job the account that its project has connected, if any."""
    mine = and_(
        _accounts.project_id == jobs.c.project_id,
        _accounts.platform == jobs.c.platform,
    )
    return jobs.outerjoin(accounts, mine)


def account_trouble(
    scheduled_for: ColumnElement[datetime],
    open_id: ColumnElement[Any] | None = None,
) -> ColumnElement[str | None]:
    """Name in JSON what keeps a job back with the account beside it; NULL if nothing.

    Without an ``open_id`` the job is for whoever is connected.
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
    others = [] if open_id is None else [(_accounts.open_id != open_id, _json(CHANGED))]
    return case(
        (_accounts.open_id.is_(None), _json(NOT_CONNECTED)),
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
    """Write a readiness of two lists of problems, NULL if there are none.

    Each is the inside of a JSON list; NULL is an empty one.
    """
    one, other = found
    both = case(
        (one.is_(None), other), (other.is_(None), one), else_=one + ", " + other
    )
    head = literal('{"is_first": true, "checked_at": "') + looked_at
    text = head + '", "problems": [' + both + "]}"
    return type_coerce(text, Json) if is_sqlite else cast(text, Json)


def problems_in_json(readiness: Readiness | None) -> str | None:
    """Write the inside of a JSON list of problems."""
    if readiness is None:
        return None
    return ", ".join(
        json.dumps(problem_to_json(problem)) for problem in readiness.problems
    )


async def look_again(
    connection: AsyncConnection, job: Job, *, now: datetime
) -> Readiness | None:
    """Return what can be told of a changed job by its account, and by itself."""
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


def _json(problem: ReadinessProblem) -> ColumnElement[str]:
    return _text(json.dumps(problem_to_json(problem)))


def _text(value: str) -> ColumnElement[str]:
    """Write a constant into the statement, where it costs no execution anything."""
    quoted = value.replace("'", "''")
    return literal_column(f"'{quoted}'", String())
