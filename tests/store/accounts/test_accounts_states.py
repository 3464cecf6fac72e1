"""States of connects under way, on both databases."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import String, cast, func, select, update

from app.store.accounts.oauth_states import OAuthStateStore, PendingConnect
from app.store.accounts.tables import oauth_states
from app.store.db.engine import Database
from app.store.db.vault import Vault
from tests.support.accounts import NOW, VAULT

UNTIL = NOW + timedelta(minutes=10)


@pytest.fixture
def states(database: Database) -> OAuthStateStore:
    """Give the store under test."""
    return OAuthStateStore(database, VAULT)


def _pending(project_id: str = "proj_1", **changes: str | None) -> PendingConnect:
    values: dict[str, Any] = {
        "redirect_to": "https://app.example.com/done",
        "code_verifier": "my-verifier",
    }
    return PendingConnect(
        project_id=project_id,
        platform="tiktok",
        expires_at=UNTIL,
        **(values | changes),
    )


@pytest.mark.parametrize(
    "pending", [_pending(), _pending(redirect_to=None, code_verifier=None)]
)
async def test_a_state_brings_back_what_it_was_issued_for(
    states: OAuthStateStore, pending: PendingConnect
) -> None:
    """Project, way back and verifier come from the row alone, not from the browser."""
    await states.add("state", pending, now=NOW)
    assert await states.take("state") == pending


async def test_a_state_works_once(
    states: OAuthStateStore, processes: list[Database]
) -> None:
    """Of twenty callbacks at once, over several processes, one gets through."""
    await states.add("state", _pending(), now=NOW)
    stores = [OAuthStateStore(database, VAULT) for database in processes]
    taken = await asyncio.gather(*(stores[n % 4].take("state") for n in range(20)))
    assert [each for each in taken if each is not None] == [_pending()]


@pytest.mark.parametrize("made_up", ["", "other", "state ", "\ud800", "\0"])
async def test_a_made_up_state_is_unknown(
    states: OAuthStateStore, made_up: str
) -> None:
    """Whatever stands in the callback's query, it is found or not, and nothing else."""
    await states.add("state", _pending(), now=NOW)
    assert await states.take(made_up) is None
    assert await states.take("state") is not None


async def test_neither_state_nor_verifier_lies_in_clear(
    database: Database, states: OAuthStateStore
) -> None:
    """Who reads the table can finish nobody's connect."""
    await states.add("my-state", _pending(), now=NOW)
    async with database.read() as connection:
        columns = (cast(column, String) for column in oauth_states.columns)
        row = (await connection.execute(select(*columns))).one()
    assert "proj_1" in row
    assert not any("my-" in (value or "") for value in row)


async def test_a_verifier_of_another_row_opens_nothing(
    database: Database, states: OAuthStateStore
) -> None:
    """Swapped ciphertexts, or a key that is gone, make the state unknown."""
    await states.add("one", _pending(), now=NOW)
    await states.add("two", _pending(code_verifier="other"), now=NOW)
    async with database.write() as connection:
        some = select(func.max(oauth_states.c.code_verifier)).scalar_subquery()
        await connection.execute(update(oauth_states).values(code_verifier=some))
    taken = [await states.take(state) for state in ("one", "two")]
    assert taken.count(None) == 1
    await states.add("three", _pending(), now=NOW)
    assert await OAuthStateStore(database, Vault([b"f" * 32])).take("three") is None


async def test_what_is_out_of_date_goes_in_time(
    database: Database, states: OAuthStateStore
) -> None:
    """An hour after its end a state is removed by the next connect, not before."""
    await states.add("old", _pending(), now=NOW)
    await states.add("next", _pending(), now=UNTIL + timedelta(hours=1))
    assert await states.take("old") is not None
    await states.add("old", _pending(), now=NOW)
    await states.add("last", _pending(), now=UNTIL + timedelta(hours=1, seconds=1))
    assert await states.take("old") is None
