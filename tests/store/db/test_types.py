"""Column types: a moment comes back as the moment it was."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import (
    Column,
    DateTime,
    Integer,
    MetaData,
    Table,
    insert,
    literal,
    select,
)
from sqlalchemy.exc import StatementError

from app.store.db.engine import Database
from app.store.db.types import Json, UtcDateTime
from tests.support.factories import NOW

values = Table(
    "values_of_ours",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("at", UtcDateTime),
    Column("data", Json),
)


@pytest.fixture
async def stored(database: Database) -> Database:
    """Give a table with one column of each type."""
    async with database.write() as connection:
        await connection.run_sync(values.metadata.create_all)
    return database


async def put(database: Database, *rows: dict[str, object]) -> None:
    """Store rows."""
    async with database.write() as connection:
        await connection.execute(insert(values), list(rows))


@pytest.mark.parametrize(
    "moment",
    [
        NOW,
        NOW + timedelta(microseconds=1),
        datetime(2026, 4, 9, 23, 30, tzinfo=timezone(timedelta(hours=-11))),
        datetime(2026, 4, 9, 0, 15, tzinfo=timezone(timedelta(hours=5, minutes=45))),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2126, 2, 28, tzinfo=UTC),
    ],
    ids=str,
)
async def test_a_moment_comes_back_in_utc(stored: Database, moment: datetime) -> None:
    """A time of any offset comes back in UTC, to the microsecond."""
    await put(stored, {"id": 1, "at": moment})
    async with stored.read() as connection:
        found = (await connection.execute(select(values.c.at))).scalar_one()
    assert found == moment
    assert found.utcoffset() == timedelta(0)


async def test_moments_of_any_offset_compare_as_moments(stored: Database) -> None:
    """What is earlier sorts earlier, also where the clock on the wall says later."""
    east = datetime(2026, 4, 9, 13, tzinfo=timezone(timedelta(hours=2)))
    west = datetime(2026, 4, 9, 8, tzinfo=timezone(timedelta(hours=-5)))
    await put(stored, {"id": 1, "at": west}, {"id": 2, "at": east})
    async with stored.read() as connection:
        ordered = await connection.execute(select(values.c.id).order_by(values.c.at))
        assert ordered.scalars().all() == [2, 1]
        before = select(values.c.id).where(values.c.at < west)
        assert (await connection.execute(before)).scalars().all() == [2]


@pytest.mark.parametrize("moment", [NOW, NOW + timedelta(microseconds=1)], ids=str)
async def test_a_moment_is_stored_as_sqlalchemy_stores_it(
    stored: Database, moment: datetime
) -> None:
    """Files from before compare equal: on SQLite a time is a text."""
    plain = moment.replace(tzinfo=None) if stored.is_sqlite else moment
    kind = DateTime(timezone=not stored.is_sqlite)
    await put(stored, {"id": 1, "at": moment})
    theirs = select(values.c.id).where(values.c.at == literal(plain, kind))
    async with stored.read() as connection:
        assert (await connection.execute(theirs)).scalars().all() == [1]


async def test_a_time_without_an_offset_is_refused(stored: Database) -> None:
    """Nobody can know whose noon it is."""
    with pytest.raises(StatementError, match="without an offset"):
        await put(stored, {"id": 1, "at": datetime(2026, 4, 9, 12)})  # noqa: DTZ001


async def test_nothing_stays_nothing(stored: Database) -> None:
    """No time and no data are NULL, not a word for it."""
    await put(stored, {"id": 1, "at": None, "data": None})
    empty = select(values.c.id).where(values.c.at.is_(None), values.c.data.is_(None))
    async with stored.read() as connection:
        assert (await connection.execute(empty)).scalars().all() == [1]


async def test_data_comes_back_as_it_was(stored: Database) -> None:
    """Every alphabet, large numbers and nesting."""
    data = {"title": "日本 🙈 “x”\n", "n": 2**53 + 1, "deep": [{"a": None}], "b": True}
    await put(stored, {"id": 1, "data": data})
    async with stored.read() as connection:
        found = (await connection.execute(select(values.c.data))).scalar_one()
    assert found == data
