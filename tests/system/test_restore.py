"""What docs/deploy/backups.md says of a restore, done."""

import re
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from app.domain.edit import check_retryable
from app.domain.errors import OutcomeUnknown
from app.domain.job import FailureReason, Job
from app.sandbox.recording import Call
from app.store.db.engine import Database
from app.store.jobs.job_store import JobStore
from tests.support.factories import (
    FAILED,
    POSTED,
    PROCESSING,
    RETRYING,
    SCHEDULED,
    handed_on,
    job_row,
    store_row,
)
from tests.support.repository import ROOT
from tests.system.programs import Programs
from tests.system.site import Site

PAGE = ROOT / "docs" / "deploy" / "backups.md"
SQL = re.compile(r"^```sql\n(.*?);\n```$", re.MULTILINE | re.DOTALL)
HOUR = timedelta(hours=1)


def hold() -> str:
    """Return the page's hold.sql."""
    (found,) = SQL.findall(PAGE.read_text())
    return str(found)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Give a connection to a fresh database."""
    database = Database(database_url)
    yield database
    await database.close()


async def held(database: Database, job: Job) -> Job:
    """Run hold.sql, and return the job as it is then."""
    async with database.write() as connection:
        await connection.execute(text(hold()))
    return await JobStore(database).get(job.id)


@pytest.mark.parametrize("status", [SCHEDULED, RETRYING, PROCESSING])
async def test_what_may_have_been_posted_since_the_backup_is_held(
    database: Database, status: str
) -> None:
    """It ends unconfirmed, and starts again only for somebody who takes the risk."""
    now = datetime.now(UTC)
    row = job_row(type(SCHEDULED)(status), next_attempt_at=now - HOUR)
    job = await held(database, await store_row(database, row))
    assert (job.status, job.failure_reason) == (FAILED, FailureReason.UNCONFIRMED)
    with pytest.raises(OutcomeUnknown):
        check_retryable(job, accept_duplicate_risk=False, now=now)
    again = await JobStore(database).retry(job.id, now=now, accept_duplicate_risk=True)
    assert again.status is SCHEDULED


@pytest.mark.parametrize("kind", ["due later", "in flight", "posted"])
async def test_what_cannot_have_been_posted_unseen_is_left_alone(
    database: Database, kind: str
) -> None:
    """Later jobs go out as planned; what is in flight is only asked about."""
    now = datetime.now(UTC)
    row = {
        "due later": job_row(SCHEDULED, next_attempt_at=now + HOUR),
        "in flight": handed_on(next_attempt_at=now - HOUR),
        "posted": job_row(POSTED),
    }[kind]
    job = await store_row(database, row)
    assert await held(database, job) == job


async def test_a_restored_file_posts_nothing_twice(
    sqlite_site: Site, tmp_path: Path
) -> None:
    """The backup is from before a post that went out; after the restore it is held."""
    job = await sqlite_site.post()
    lost = Path(make_url(sqlite_site.programs.env["DATABASE_URL"]).database or "")
    restored = tmp_path / "restored.db"
    with sqlite3.connect(lost) as source, sqlite3.connect(restored) as target:
        source.backup(target)
    assert (await sqlite_site.programs.run("tick")).code == 0
    assert sqlite_site.published == 1
    with sqlite3.connect(restored) as target:
        target.execute(hold())
    target.close()
    source.close()
    url = {"DATABASE_URL": f"sqlite:///{restored}"}
    assert (await sqlite_site.programs.run("tick", **url)).code == 0
    assert len(sqlite_site.calls(Call.INIT)) == 1
    found = Database(url["DATABASE_URL"])
    assert (await JobStore(found).get(job.id)).status is FAILED
    await found.close()


async def test_the_key_file_is_part_of_the_backup(
    programs: Programs, tmp_path: Path
) -> None:
    """A database without its key file gets a new one, which opens no old token."""
    assert (await programs.run("keys", "list")).code == 0
    key = tmp_path / "scheduler.db.key"
    assert key.stat().st_mode & 0o077 == 0
    before = key.read_text()
    key.unlink()
    assert (await programs.run("keys", "list")).code == 0
    assert key.read_text() != before
