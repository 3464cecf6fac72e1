"""The first readiness of a job when it is stored, from its account and its links."""

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


async def look_again(
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


def _json(problem: ReadinessProblem) -> ColumnElement[str]:
    return _text(json.dumps(problem_to_json(problem)))


def _text(value: str) -> ColumnElement[str]:
    """Return a literal of the statement's text, which costs nothing per execution."""
    quoted = value.replace("'", "''")
    return literal_column(f"'{quoted}'", String())
