"""Accounts that a person has to connect again: written and told in one place."""

from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.account import SCOPE_REASONS, AccountStatus
from app.store.accounts.tables import accounts
from app.store.webhooks.outbox import ACCOUNT_LISTENER, tell_of_account

_accounts = accounts.c

USABLE: Final = or_(
    _accounts.status == AccountStatus.ACTIVE,
    _accounts.reconnect_reason.in_(SCOPE_REASONS),
)
"""Matches accounts whose grant may still be used, for some of its scopes at least."""


async def require_reconnect(
    connection: AsyncConnection,
    which: ColumnElement[bool],
    *,
    reason: str,
    now: datetime,
) -> int:
    """Ask for a new consent of the usable accounts that match; return how many.

    Tells the project of each, but once for one reason: each of its jobs may say so.
    """
    asked = (
        select(_accounts.project_id, _accounts.platform, _accounts.reconnect_reason)
        .where(which, USABLE)
        .order_by(_accounts.project_id, _accounts.platform)
        .with_for_update()
    )
    statement = (
        update(accounts)
        .where(which, USABLE)
        .values(
            status=AccountStatus.RECONNECT_REQUIRED,
            reconnect_reason=reason,
            updated_at=now,
        )
        .returning(accounts, ACCOUNT_LISTENER)
    )
    known = {
        (project_id, platform): before
        for project_id, platform, before in await connection.execute(asked)
    }
    rows = (await connection.execute(statement)).mappings().all()
    for row in rows:
        if known.get((row["project_id"], row["platform"])) != reason:
            await tell_of_account(connection, row, now=now)
    return len(rows)
