"""Mark accounts that a person has to connect again, and write their events."""

from datetime import datetime

from sqlalchemy import ColumnElement, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.accounts.account import REMOVALS, AccountStatus
from app.store.accounts.tables import USABLE, accounts
from app.store.webhooks.outbox import ACCOUNT_LISTENER, tell_of_account

_accounts = accounts.c


async def require_reconnect(
    connection: AsyncConnection,
    which: ColumnElement[bool],
    *,
    reason: str,
    now: datetime,
) -> int:
    """Require a new consent of the usable accounts that match; return how many.

    Writes one event per account and reason, however many of its jobs report it.
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
            # TikTok's reason for removing our access says more than a dead token.
            reconnect_reason=func.coalesce(_accounts.removal_reason, reason),
            removal_check_at=None,
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
        before = known.get((row["project_id"], row["platform"]))
        if before != row["reconnect_reason"]:
            await tell_of_account(connection, row, now=now)
    return len(rows)


async def explain_loss(
    connection: AsyncConnection,
    which: ColumnElement[bool],
    *,
    reason: str,
    now: datetime,
) -> int:
    """Store why TikTok removed our access to lost accounts; return how many.

    Writes an event for each: nobody should try to reconnect a deleted account.
    """
    unknown = _accounts.reconnect_reason.not_in(REMOVALS)
    rows = await connection.execute(
        update(accounts)
        .where(which, text(f"NOT {USABLE}"), unknown)
        .values(reconnect_reason=reason, removal_reason=reason, updated_at=now)
        .returning(accounts, ACCOUNT_LISTENER)
    )
    found = rows.mappings().all()
    for row in found:
        await tell_of_account(connection, row, now=now)
    return len(found)
