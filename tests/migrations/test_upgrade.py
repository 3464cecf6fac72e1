"""A database with posts in it comes along, and is there for both versions meanwhile."""

import asyncio
import re
from typing import Any

import pytest
from sqlalchemy import Connection, bindparam, insert, inspect, text

from app.service.operations.health import DatabaseState, found_in
from app.store.db.engine import Database
from app.store.db.migrate import _scripts, newest_revision, upgrade
from app.store.db.types import UtcDateTime
from app.store.jobs.claims import ClaimStore
from app.store.jobs.requests.job_store import JobStore
from app.store.jobs.tables import schedule_jobs
from tests.store.claiming import claim_one
from tests.support.factories import (
    FAILED,
    LEASE,
    NOW,
    POSTED,
    SCHEDULED,
    handed_on,
    job_row,
)

FIRST = "0001"


async def columns_of_jobs(database: Database) -> set[str]:
    """List what the table of jobs has at present."""

    def names(connection: Connection) -> set[str]:
        return {
            found["name"] for found in inspect(connection).get_columns("schedule_jobs")
        }

    async with database.read() as connection:
        return await connection.run_sync(names)


async def store(database: Database, row: dict[str, Any], known: set[str]) -> str:
    """Store a job as a version does that knows these columns alone."""
    values = {name: value for name, value in row.items() if name in known}
    async with database.write() as connection:
        await connection.execute(insert(schedule_jobs).values(values))
    return str(row["id"])


async def test_jobs_of_the_first_version_go_on_with_the_newest(empty_url: str) -> None:
    """What was posted stays posted, what is due is claimed."""
    await asyncio.to_thread(upgrade, empty_url, FIRST)
    database = Database(empty_url)
    known = await columns_of_jobs(database)
    posted = await store(database, job_row(POSTED), known)
    due = await store(database, job_row(SCHEDULED), known)
    await asyncio.to_thread(upgrade, empty_url)
    assert (await JobStore(database).get(posted)).status is POSTED
    claims = ClaimStore(database, lease=LEASE)
    assert (await claim_one(claims)).id == due
    await database.close()


async def test_the_first_version_can_store_jobs_in_the_newest_tables(
    empty_url: str,
) -> None:
    """In a rollout both are at work: no revision asks for what the old cannot give."""
    await asyncio.to_thread(upgrade, empty_url, FIRST)
    database = Database(empty_url)
    known = await columns_of_jobs(database)
    await asyncio.to_thread(upgrade, empty_url)
    added = await store(database, job_row(SCHEDULED), known)
    assert (await JobStore(database).get(added)).status is SCHEDULED
    await database.close()


async def test_what_waits_belongs_to_the_account_there_is(empty_url: str) -> None:
    """Rows of before are bound: due, in flight, failed; what is over stays as it is."""
    await asyncio.to_thread(upgrade, empty_url, "0010")
    database = Database(empty_url)
    known = await columns_of_jobs(database)
    rows = {
        "due": job_row(SCHEDULED),
        "in flight": handed_on(),
        "failed": job_row(FAILED),
        "in doubt": job_row(POSTED, confirm_at=NOW),
        "over": job_row(POSTED),
        "not connected": job_row(SCHEDULED, project_id="proj_2"),
    }
    ids = {name: await store(database, row, known) for name, row in rows.items()}
    async with database.write() as connection:
        await connection.execute(
            text(
                "INSERT INTO accounts (project_id, platform, open_id, scopes, status,"
                " access_token, refresh_token, access_token_expires_at,"
                " refresh_token_expires_at, grant_version, connected_at, updated_at)"
                " VALUES ('proj_1', 'tiktok', 'open_A', '', 'active', 'x', 'x',"
                " :now, :now, 1, :now, :now)"
            ).bindparams(bindparam("now", NOW, UtcDateTime()))
        )
    await asyncio.to_thread(upgrade, empty_url)
    jobs = JobStore(database)
    owners = {name: (await jobs.get(job_id)).open_id for name, job_id in ids.items()}
    await database.close()
    bound = dict.fromkeys(("due", "in flight", "failed", "in doubt"), "open_A")
    assert owners == {**bound, "over": None, "not connected": None}


async def test_a_later_revision_is_no_reason_to_stop(database_url: str) -> None:
    """The old version goes on while the new one is rolled out."""
    database = Database(database_url)
    for revision, expected in (
        ("9999", DatabaseState.READY),
        (FIRST, DatabaseState.DATABASE_NOT_MIGRATED),
    ):
        async with database.write() as connection:
            await connection.execute(
                text("UPDATE tiktok_scheduler_version SET version_num = :now"),
                {"now": revision},
            )
        assert (await found_in(database)).state is expected
    await database.close()


def test_revisions_are_numbered_in_their_order() -> None:
    """The names of two revisions alone tell which is later."""
    names = sorted(each.name for each in (_scripts() / "versions").glob("*.py"))
    texts = [(_scripts() / "versions" / name).read_text() for name in names]
    numbers = [
        re.findall(r'^revision = "(\d{4})"$', each, re.MULTILINE) for each in texts
    ]
    before = [
        re.findall(r'^down_revision = "(\d{4})"$', each, re.MULTILINE) for each in texts
    ]
    assert [name[:4] for name in names] == [number for (number,) in numbers]
    assert before == [[], *numbers[:-1]]


FORMER = "CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)"


async def as_the_former_version_left_it(url: str, revision: str) -> None:
    """Write the revision where older programs do, and nowhere else."""
    await asyncio.to_thread(upgrade, url, revision)
    database = Database(url)
    async with database.write() as connection:
        await connection.execute(text("DROP TABLE tiktok_scheduler_version"))
        await connection.execute(text(FORMER))
        stamp = text("INSERT INTO alembic_version VALUES (:revision)")
        await connection.execute(stamp, {"revision": revision})
    await database.close()


async def version_in(url: str, table: str) -> str:
    """Read a revision."""
    database = Database(url)
    async with database.read() as connection:
        found = await connection.execute(text(f"SELECT version_num FROM {table}"))
    await database.close()
    return str(found.scalar_one())


@pytest.mark.parametrize("revision", ["0008", "0010"])
async def test_the_revision_moves_to_a_table_of_our_own(
    empty_url: str, revision: str
) -> None:
    """Once; an older program at work beside us finds what it looks for."""
    await as_the_former_version_left_it(empty_url, revision)
    for _ in range(2):
        await asyncio.to_thread(upgrade, empty_url)
        newest = await version_in(empty_url, "tiktok_scheduler_version")
        assert newest == newest_revision()
        assert await version_in(empty_url, "alembic_version") == "0010"
