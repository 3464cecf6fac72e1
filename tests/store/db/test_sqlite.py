"""SQLite: one writer at a time, and none whose work is lost."""

import asyncio
import os
import sqlite3
import stat
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.errors import StoreUnavailable
from app.store.db import engine
from app.store.db.engine import Database
from app.store.db.sqlite_file import may_be_read_by_others, why_not
from app.store.jobs.tables import media_links, schedule_jobs
from tests.support.factories import NOW, store_job

WRITERS = 20

counter = schedule_jobs.c.max_attempts


@pytest.fixture
async def files(sqlite_url: str) -> AsyncIterator[list[Database]]:
    """Give two processes' connections to one file that holds a counter."""
    databases = [Database(sqlite_url), Database(sqlite_url)]
    await store_job(databases[0], max_attempts=1)
    yield databases
    for each in databases:
        await each.close()


async def read(connection: AsyncConnection) -> int:
    """Read the counter."""
    value: int = (await connection.execute(select(counter))).scalar_one()
    return value


async def write(connection: AsyncConnection, value: int) -> None:
    """Write the counter."""
    await connection.execute(update(schedule_jobs).values(max_attempts=value))


async def count_up(database: Database) -> None:
    """Read, think, and write, in one transaction."""
    async with database.write() as connection:
        value = await read(connection)
        await asyncio.sleep(0)
        await write(connection, value + 1)


async def break_off(database: Database) -> None:
    """Write, and fail before the commit."""
    async with database.write() as connection:
        await write(connection, 7)
        raise RuntimeError


async def test_no_update_is_lost(files: list[Database]) -> None:
    """Who reads in order to write has the lock already, and others wait for it."""
    await asyncio.gather(*(count_up(files[n % 2]) for n in range(WRITERS)))
    async with files[0].read() as connection:
        assert await read(connection) == 1 + WRITERS


async def test_with_a_plain_begin_the_second_writer_fails(
    files: list[Database],
) -> None:
    """Why it is BEGIN IMMEDIATE: a snapshot that was read cannot be written later."""
    one, other = files
    async with one.read() as late:  # the plain BEGIN
        value = await read(late)
        await count_up(other)
        with pytest.raises(OperationalError, match="database is locked"):
            await write(late, value + 1)


def test_with_the_drivers_own_transactions_an_update_is_lost(tmp_path: Path) -> None:
    """Why BEGIN is ours: Python's driver begins at the write, after the read."""
    one, other = (sqlite3.connect(tmp_path / "lost.db") for _ in range(2))
    with one:
        one.execute("CREATE TABLE counter AS SELECT 0 AS n")
    seen = [
        each.execute("SELECT n FROM counter").fetchone()[0] for each in (one, other)
    ]
    for each, value in zip((one, other), seen, strict=True):
        with each:
            each.execute("UPDATE counter SET n = ?", (value + 1,))
    assert one.execute("SELECT n FROM counter").fetchone() == (1,)  # of two
    one.close()
    other.close()


async def test_reading_waits_for_no_writer(files: list[Database]) -> None:
    """A reader sees what was committed last, while a writer is at work."""
    async with files[0].write() as writer:
        await write(writer, 7)
        async with files[1].read() as reader:
            assert await read(reader) == 1


async def test_a_failed_transaction_leaves_nothing(files: list[Database]) -> None:
    """All of it or none of it, and the connection is good for the next."""
    with pytest.raises(RuntimeError):
        await break_off(files[0])
    await count_up(files[0])
    async with files[1].read() as reader:
        assert await read(reader) == 2


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)],
)
async def test_every_connection_is_prepared(
    files: list[Database], pragma: str, value: str | int
) -> None:
    """Reader beside writer, commits on the disk, references kept."""
    async with files[0].read() as one, files[0].write() as other:
        for connection in (one, other):
            found = await connection.execute(text(f"PRAGMA {pragma}"))
            assert found.scalar_one() == value


async def test_a_link_belongs_to_a_job(files: list[Database]) -> None:
    """Foreign keys hold on SQLite too, where they are off by default."""
    link = {"token": "t", "job_id": "nobody", "asset_url": "u", "created_at": NOW}
    with pytest.raises(IntegrityError):
        async with files[0].write() as connection:
            await connection.execute(media_links.insert(), link)


async def write_alone(database: Database) -> None:
    """Write with one statement that commits by itself."""
    async with database.single() as connection:
        await write(connection, 8)


async def test_a_file_that_stays_locked_is_unavailable(
    sqlite_url: str, files: list[Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that does not let go: an error after a time, no hang; reads go on."""
    monkeypatch.setattr(engine, "SQLITE_BUSY_SECONDS", 0.01)
    impatient = Database(sqlite_url)
    async with files[0].write() as connection:
        await write(connection, 7)
        with pytest.raises(StoreUnavailable):
            await store_job(impatient)
        with pytest.raises(StoreUnavailable) as refused:
            await write_alone(impatient)
        assert type(refused.value) is StoreUnavailable  # known not to be written
        async with impatient.read() as reader:
            assert await read(reader) == 1
    await store_job(impatient)
    await impatient.close()


@pytest.mark.parametrize("spoiled", ["missing", "folder", "garbage"])
async def test_a_file_that_cannot_be_used_is_unavailable_until_it_is_back(
    sqlite_url: str, tmp_path: Path, spoiled: str
) -> None:
    """Gone, in the way or damaged: a clear error, and all is well afterwards."""
    file, kept = tmp_path / "scheduler.db", tmp_path / "kept.db"
    database = Database(sqlite_url)
    file.rename(kept)
    spoil(file, spoiled)
    with pytest.raises(StoreUnavailable) as raised:
        await store_job(database)
    assert "scheduler.db" not in str(raised.value)
    await database.close()
    if file.is_dir():
        file.rmdir()
    kept.replace(file)
    job = await store_job(database, scheduled_for=NOW)
    assert job.scheduled_for == NOW
    await database.close()


@pytest.mark.parametrize("spoiled", ["no folder", "folder", "garbage"])
async def test_a_file_that_cannot_be_opened_leaves_no_thread(
    tmp_path: Path, spoiled: str
) -> None:
    """One that answered after the loop's end would print a traceback of its own."""
    file = tmp_path / "nowhere" / "scheduler.db"
    if spoiled != "no folder":
        file.parent.mkdir()
        spoil(file, spoiled)
    before = threading.enumerate()
    for _ in range(5):
        with pytest.raises(StoreUnavailable):
            async with Database(f"sqlite:///{file}").read():
                pass
        assert [each for each in started_since(before) if is_drivers(each)] == []


def started_since(before: list[threading.Thread]) -> list[threading.Thread]:
    """Return the threads that run now and did not then."""
    return [each for each in threading.enumerate() if each not in before]


def is_drivers(thread: threading.Thread) -> bool:
    """Tell whether it is one of the driver's; the loop's own pool keeps its threads."""
    return "_connection_worker_thread" in thread.name


def spoil(file: Path, how: str) -> None:
    """Put something in a database's place, or nothing."""
    if how == "folder":
        file.mkdir()
    elif how == "garbage":
        file.write_text("this is no database, but it is long enough to be read as one")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda _: None, "the file's folder is not there"),
        (lambda file: file.mkdir(parents=True), "it is a folder, not a file"),
    ],
)
async def test_a_file_that_cannot_be_a_database_says_why(
    tmp_path: Path, make: Callable[[Path], None], says: str
) -> None:
    """SQLite says of all of them that it is unable to open a database file."""
    file = tmp_path / "folder" / "scheduler.db"
    make(file)
    database = Database(f"sqlite:///{file}")
    with pytest.raises(StoreUnavailable):
        await store_job(database)
    assert database.trouble.cause == says
    await database.close()


@pytest.mark.parametrize(
    ("refused", "says"),
    [("folder", "may not write in the file's folder"), ("file", "belongs to")],
)
def test_rights_that_are_missing_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str, says: str
) -> None:
    """Whose file it is, and who is asking; the path is not quoted."""
    file = tmp_path / "scheduler.db"
    file.touch()
    closed = tmp_path if refused == "folder" else file
    monkeypatch.setattr("os.access", lambda path, _: path != closed)
    found = why_not(str(file))
    assert found is not None
    assert says in found
    assert str(tmp_path) not in found


async def test_a_new_file_and_those_beside_it_are_their_owners_alone(
    tmp_path: Path,
) -> None:
    """Whatever the umask: posts' texts and sealed tokens are nobody else's."""
    before = os.umask(0o000)
    try:
        database = Database(f"sqlite:///{tmp_path}/new.db")
        async with database.write() as connection:
            await connection.execute(text("CREATE TABLE t (x)"))
        modes = {
            file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()
        }
        await database.close()
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("new.db", "new.db-wal", "new.db-shm"), 0o600)


def test_a_file_from_before_is_told_of(tmp_path: Path) -> None:
    """Its mode is its owner's to change; who starts on it is warned."""
    file = tmp_path / "old.db"
    file.touch()
    for mode, told in ((0o644, True), (0o640, False), (0o600, False)):
        file.chmod(mode)
        assert may_be_read_by_others(str(file)) is told
    assert not may_be_read_by_others(str(tmp_path / "none.db"))
