"""Reading accounts: what many attempts ask for at once is one statement."""

from collections.abc import Mapping

from sqlalchemy import FromClause, Select, Text, and_, select

from app.domain.account import Account
from app.domain.errors import NotFound
from app.store.accounts.rows import AccountRows
from app.store.accounts.tables import accounts
from app.store.db.batcher import Batcher
from app.store.db.bulk_values import BulkValues
from app.store.db.engine import Database

_accounts = accounts.c
_Name = tuple[str, str]  # project and platform


class AccountReader:
    """Reads single accounts, with their tokens readable.

    When thousands of posts fall due together, each needs its account, and as many
    statements would keep everything else from the database.
    """

    def __init__(self, database: Database, rows: AccountRows) -> None:
        self._database = database
        self._rows = rows
        names = {"project_id": Text(), "platform": Text()}
        self._given = BulkValues(names, is_sqlite=database.is_sqlite)
        self._statement = _named(self._given.table)
        self._batcher = Batcher(self._read_all, spawn=database.spawn)

    async def get(self, project_id: str, platform: str) -> Account:
        """Return an account as it is now or later; raises NotFound."""
        # Two may ask for the same account, so what is asked is no key.
        account = await self._batcher.ask(object(), (project_id, platform))
        if account is None:
            raise NotFound
        return account

    async def _read_all(self, asked: Mapping[object, _Name]) -> dict[object, Account]:
        values = self._given.bind(sorted(set(asked.values())))
        async with self._database.read() as connection:
            rows = (await connection.execute(self._statement, values)).mappings().all()
        found = [self._rows.read(row) for row in rows]
        by_name = {(each.project_id, each.platform): each for each in found}
        return {key: by_name[name] for key, name in asked.items() if name in by_name}


def _named(given: FromClause) -> Select[tuple[object, ...]]:
    names = and_(
        _accounts.project_id == given.c.project_id,
        _accounts.platform == given.c.platform,
    )
    return select(accounts).select_from(given.join(accounts, names))
