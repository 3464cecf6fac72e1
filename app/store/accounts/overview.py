"""Lists of accounts, and how much each posted lately."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct
from sqlalchemy import func, or_, select

from app.domain.accounts.account import Account, AccountStatus
from app.domain.jobs.job import Delivery
from app.store.accounts.rows import AccountRows
from app.store.accounts.tables import NEEDS_RECONNECT, accounts
from app.store.db.engine import Database
from app.store.db.vault import Vault
from app.store.jobs.requests.changes import written_since
from app.store.jobs.tables import schedule_jobs

_accounts = accounts.c
_jobs = schedule_jobs.c


class PostCount(Struct, frozen=True):
    """How many posts TikTok took, public or draft."""

    published: int = 0
    drafts: int = 0


class AccountOverviewStore:
    """Reads accounts."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._rows = AccountRows(vault)

    async def page(
        self,
        *,
        project_id: str | None,
        status: AccountStatus | None,
        limit: int,
        after: str | None = None,
    ) -> tuple[Account, ...]:
        """Return accounts sorted by project, after the given project."""
        statement = select(accounts).order_by(_accounts.project_id).limit(limit)
        if project_id is not None:
            statement = statement.where(_accounts.project_id == project_id)
        if status is AccountStatus.RECONNECT_REQUIRED:
            statement = statement.where(NEEDS_RECONNECT)
        elif status is not None:
            statement = statement.where(_accounts.status == status)
        if after is not None:
            statement = statement.where(_accounts.project_id > after)
        rows = await self._database.rows(statement)
        return tuple(self._rows.read(row) for row in rows)

    async def jobs_waiting(self) -> Mapping[str, int]:
        """Count the jobs that wait for their time, by project."""
        statement = (
            select(_jobs.project_id, func.count())
            .where(_jobs.next_attempt_at.is_not(None))
            .group_by(_jobs.project_id)
        )
        async with self._database.read() as connection:
            return dict((await connection.execute(statement)).all())

    async def posts_since(
        self, project_id: str, platform: str, open_id: str, *, since: datetime
    ) -> PostCount:
        """Count a project's posts for a TikTok person since a time."""
        statement = (
            select(_jobs.delivery, func.count().label("posts"))
            .where(
                _jobs.project_id == project_id,
                _jobs.platform == platform,
                or_(_jobs.open_id == open_id, _jobs.open_id.is_(None)),
                _jobs.posted_at >= since,
                written_since(since),
            )
            .group_by(_jobs.delivery)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(statement)).all()
        found: dict[str | None, int] = {row.delivery: row.posts for row in rows}
        return PostCount(
            published=found.get(Delivery.PUBLISHED, 0),
            drafts=found.get(Delivery.INBOX, 0),
        )
