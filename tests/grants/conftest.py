"""A worker's grants on a real database, TikTok's token endpoint behind the wire."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from app.grants.grants import Grants
from app.store.accounts.account_store import AccountStore
from app.store.db.engine import Database
from tests.grants.token_endpoint import TokenEndpoint
from tests.support.accounts import NOW, VAULT


@dataclass(slots=True)
class StepClock:
    """A clock that moves by hand, and by what is slept."""

    at: datetime = NOW

    def now(self) -> datetime:
        """Tell the time."""
        return self.at

    async def sleep(self, seconds: float) -> None:
        """Let the others go on."""
        self.at += timedelta(seconds=seconds)
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> StepClock:
    """Give the workers' clock."""
    return StepClock()


@pytest.fixture
def tiktok() -> TokenEndpoint:
    """Give TikTok's token endpoint."""
    return TokenEndpoint()


@pytest.fixture
async def databases(database_url: str) -> AsyncIterator[list[Database]]:
    """Give two workers' connections to one database."""
    databases = [Database(database_url) for _ in range(2)]
    yield databases
    for database in databases:
        await database.close()


@pytest.fixture
def accounts(databases: list[Database]) -> AccountStore:
    """Give the first worker's account store."""
    return AccountStore(databases[0], VAULT)


@pytest.fixture
def workers(
    databases: list[Database], tiktok: TokenEndpoint, clock: StepClock
) -> list[Grants]:
    """Give the grants of two workers."""
    return [
        Grants(
            accounts=AccountStore(database, VAULT), tiktok=tiktok.client(), clock=clock
        )
        for database in databases
    ]


@pytest.fixture
def grants(workers: list[Grants]) -> Grants:
    """Give the first worker's grants."""
    return workers[0]
