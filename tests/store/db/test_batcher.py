"""Small writes that are asked for at once go out together."""

import asyncio
from collections.abc import Mapping

import pytest

from app.domain.errors import StoreUnavailable
from app.store.db import batcher as together
from app.store.db.batcher import Batcher


class Table:
    """Writes when it is let, and remembers what it was given."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.written = list[dict[str, int]]()
        self.fails: Exception | None = None

    async def write(self, asked: Mapping[str, int]) -> dict[str, int]:
        """Double what is above zero."""
        self.written.append(dict(asked))
        await self.open.wait()
        if self.fails is not None:
            raise self.fails
        return {key: 2 * value for key, value in asked.items() if value > 0}


@pytest.fixture
def table() -> Table:
    """Give a table that is closed."""
    return Table()


async def ask(table: Table, *wishes: tuple[str, int]) -> list[asyncio.Task[int | None]]:
    """Ask for one thing, and for the others while that is being written."""
    shared = Batcher(table.write)
    tasks = []
    for key, value in wishes:
        tasks.append(asyncio.create_task(shared.ask(key, value)))
        for _ in range(5):
            await asyncio.sleep(0)
    return tasks


async def test_what_comes_meanwhile_is_written_together(table: Table) -> None:
    """The first waits for nobody; each gets the answer to its own question."""
    tasks = await ask(table, ("a", 1), ("b", 2), ("c", 0))
    table.open.set()
    assert await asyncio.gather(*tasks) == [2, 4, None]
    assert table.written == [{"a": 1}, {"b": 2, "c": 0}]


async def test_one_key_is_written_once_in_a_statement(table: Table) -> None:
    """Postgres would refuse to touch a row twice; the second comes after."""
    tasks = await ask(table, ("a", 1), ("b", 2), ("b", 3))
    table.open.set()
    assert await asyncio.gather(*tasks) == [2, 4, 6]
    assert table.written == [{"a": 1}, {"b": 2}, {"b": 3}]


async def test_a_statement_has_its_limit(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is too much for one goes into the next."""
    monkeypatch.setattr(together, "_MOST", 2)
    tasks = await ask(table, ("a", 1), ("b", 2), ("c", 3), ("d", 4))
    table.open.set()
    assert await asyncio.gather(*tasks) == [2, 4, 6, 8]
    assert [len(each) for each in table.written] == [1, 2, 1]


async def test_many_do_not_wait_for_a_statement(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are sent beside it, at most two statements at a time; a few wait."""
    monkeypatch.setattr(together, "_MANY", 2)
    tasks = await ask(table, ("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5))
    assert table.written == [{"a": 1}, {"b": 2, "c": 3}]
    table.open.set()
    assert await asyncio.gather(*tasks) == [2, 4, 6, 8, 10]
    assert table.written[2:] == [{"d": 4, "e": 5}]


async def test_no_two_statements_are_about_one_key(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would wait for each other's row; the later wish is written later."""
    monkeypatch.setattr(together, "_MANY", 2)
    tasks = await ask(table, ("a", 1), ("a", 2), ("a", 3), ("b", 4))
    assert table.written == [{"a": 1}, {"b": 4}]
    table.open.set()
    assert await asyncio.gather(*tasks) == [2, 4, 6, 8]
    assert table.written[2:] == [{"a": 2}, {"a": 3}]


@pytest.mark.parametrize("error", [StoreUnavailable("away"), ValueError("broken")])
async def test_a_failure_is_everybodys_and_passes(
    table: Table, error: Exception
) -> None:
    """Who asked learns of it; who asks later finds it over."""
    table.fails = error
    shared = Batcher(table.write)
    asked = [asyncio.create_task(shared.ask(key, 1)) for key in ("a", "b")]
    table.open.set()
    for each in asked:
        with pytest.raises(type(error), match=str(error)):
            await each
    table.fails = None
    assert await shared.ask("c", 1) == 2


async def test_who_leaves_takes_nobody_along(table: Table) -> None:
    """A cancelled question was asked all the same."""
    first, second, third = await ask(table, ("a", 1), ("b", 2), ("c", 3))
    first.cancel()
    second.cancel()
    table.open.set()
    assert await third == 6
