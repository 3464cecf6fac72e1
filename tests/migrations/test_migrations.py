"""The migrations: up, down, up again, and to exactly what the code expects."""

import asyncio
import shutil
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.store.db import migrate
from app.store.db.engine import Database
from app.store.db.migrate import alembic_config, downgrade, newest_revision, upgrade
from app.store.jobs.requests.job_store import JobStore
from app.store.tables import metadata
from tests.migrations.schema import Schema, schema_of
from tests.support.factories import store_entry, store_job

FOR_POSTGRES = {"0009"}
TAKE_AWAY = {"0010"}
ALLOW_MORE = {
    "0011",  # a CHECK makes way for one that allows more
    "0018",  # an index makes way for several that serve its readers, too
    "0023",  # two such make way for four
    "0024",  # indexes get an option
}


async def up(url: str, revision: str = "head") -> Schema:
    """Migrate up, off the event loop, and describe what is there."""
    await asyncio.to_thread(upgrade, url, revision)
    return await schema_of(url)


async def down(url: str, revision: str) -> Schema:
    """Migrate down, off the event loop, and describe what is there."""
    await asyncio.to_thread(downgrade, url, revision)
    return await schema_of(url)


async def run(url: str, statement: str) -> None:
    """Run one statement by hand."""
    database = Database(url)
    async with database.write() as connection:
        await connection.execute(text(statement))
    await database.close()


@pytest.mark.timeout(300)  # each revision three times
async def test_down_is_the_way_back(empty_url: str) -> None:
    """Every revision undoes all that it did, and can be done again."""
    script = ScriptDirectory.from_config(alembic_config(empty_url))
    revisions = [each.revision for each in script.walk_revisions()][::-1]
    before: Schema = set()
    for revision in revisions:
        after = await up(empty_url, revision)
        # What Postgres alone has to be told leaves SQLite as it is.
        less, more = (after, before) if revision in TAKE_AWAY else (before, after)
        if revision in ALLOW_MORE:
            less = less.intersection(more)
        assert less < more or (less == more and revision in FOR_POSTGRES)
        assert await down(empty_url, "-1") == before
        assert await up(empty_url, revision) == after
        before = after


async def test_all_the_way_down_and_up_again(empty_url: str) -> None:
    """A downgrade leaves nothing that a second upgrade would stumble over."""
    first = await up(empty_url)
    assert await down(empty_url, "base") == set()
    assert await up(empty_url) == first


async def test_the_migrations_make_what_the_code_expects(empty_url: str) -> None:
    """Not one column, CHECK or partial index differs from the tables in the code."""
    database = Database(empty_url)
    async with database.write() as connection:
        await connection.run_sync(metadata.create_all)
    expected = await schema_of(empty_url)
    async with database.write() as connection:
        await connection.run_sync(metadata.drop_all)
    await database.close()
    assert await up(empty_url) == expected


async def test_alembic_finds_nothing_to_migrate(database_url: str) -> None:
    """`alembic check` agrees: autogenerate has nothing to add."""
    config = alembic_config(database_url)
    await asyncio.to_thread(command.check, config)


async def test_a_second_upgrade_changes_nothing(database_url: str) -> None:
    """Every start may migrate: what is there stays, rows included."""
    database = Database(database_url)
    job = await store_job(database)
    await store_entry(database, job, number=1)
    before = await schema_of(database_url)
    assert await up(database_url) == before
    assert await JobStore(database).get(job.id) == job
    assert len(await JobStore(database).attempts(job.id)) == 1
    await database.close()


async def test_the_database_knows_its_revision(database_url: str) -> None:
    """After an upgrade it is the one that this program was written for."""
    database = Database(database_url)
    async with database.read() as connection:
        found = await connection.execute(
            text("SELECT version_num FROM tiktok_scheduler_version")
        )
        assert found.scalars().all() == [newest_revision()]
    await database.close()


@pytest.mark.parametrize("table", ["job_attempts", "oauth_states"])
async def test_a_migration_that_fails_leaves_nothing(
    empty_url: str, table: str
) -> None:
    """A migration that fails leaves the database as it was."""
    await run(empty_url, f"CREATE TABLE {table} (in_the_way integer)")
    before = await schema_of(empty_url)
    with pytest.raises(DBAPIError):
        await asyncio.to_thread(upgrade, empty_url)
    assert await schema_of(empty_url) == before
    await run(empty_url, f"DROP TABLE {table}")
    assert await up(empty_url)


async def test_any_folder_may_hold_the_migrations(
    tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signs that alembic's settings give a meaning are taken literally."""
    folder = tmp_path / "100% ours"
    shutil.copytree(migrate._PLACES[0], folder)
    monkeypatch.setattr(migrate, "_PLACES", (folder,))
    script = ScriptDirectory.from_config(alembic_config(sqlite_url))
    assert script.get_current_head() == newest_revision()
