"""What docs/deploy/backups.md says of a restore, done."""

import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import make_url

from app.domain.errors import JobNotDeletable, OutcomeUnknown
from app.domain.jobs.edit import check_retryable
from app.domain.jobs.history import HistoryKind
from app.domain.jobs.job import FailureReason, Job
from app.sandbox.recording import Call
from app.store.db.engine import Database
from app.store.jobs.history import read_history
from app.store.jobs.recovery.restored import RestoreStore
from app.store.jobs.requests.job_store import JobStore
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
from tests.system.programs import Programs
from tests.system.site import Site

HOUR = timedelta(hours=1)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Give a connection to a fresh database."""
    database = Database(database_url)
    yield database
    await database.close()


async def held(database: Database, job: Job) -> Job:
    """Hold what is in doubt, and return the job as it is then."""
    await RestoreStore(database).end_doubtful(now=datetime.now(UTC))
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


@pytest.mark.parametrize(
    "kind", ["claimed", "in flight", "in flight for later", "an init without an answer"]
)
async def test_what_was_under_way_at_the_backup_is_held_with_its_guards(
    database: Database, kind: str
) -> None:
    """Its publish may have failed since, and another have come out."""
    now = datetime.now(UTC)
    row = {
        "claimed": job_row(PROCESSING, next_attempt_at=now + HOUR),
        "in flight": handed_on(next_attempt_at=now - HOUR),
        "in flight for later": handed_on(next_attempt_at=now + HOUR),
        "an init without an answer": handed_on(
            next_attempt_at=now + HOUR, publish_id=None, publish_started_at=None
        ),
    }[kind]
    before = await store_row(database, row)
    job = await held(database, before)
    assert (job.status, job.failure_reason) == (FAILED, FailureReason.UNCONFIRMED)
    assert (job.init_sent_at, job.publish_id) == (
        before.init_sent_at,
        before.publish_id,
    )
    assert (job.claim_token, job.next_attempt_at, job.confirm_at) == (None, None, None)
    with pytest.raises(OutcomeUnknown):
        check_retryable(job, accept_duplicate_risk=False, now=now)


async def test_a_held_job_keeps_its_key(database: Database) -> None:
    """Nobody who deletes it and asks again gets a second post."""
    now = datetime.now(UTC)
    row = job_row(SCHEDULED, next_attempt_at=now - HOUR)
    job = await held(database, await store_row(database, row))
    with pytest.raises(JobNotDeletable):
        await JobStore(database).delete(job.id)


async def test_a_held_job_says_so_in_its_history(database: Database) -> None:
    """Whoever asks why it did not go out finds the restore."""
    now = datetime.now(UTC)
    job = await store_row(database, job_row(SCHEDULED, next_attempt_at=now - HOUR))
    await held(database, job)
    async with database.read() as connection:
        entries = await read_history(connection, job.id)
    assert [entry.kind for entry in entries] == [HistoryKind.RESTORED]


@pytest.mark.parametrize("kind", ["due later", "posted"])
async def test_what_cannot_have_been_posted_unseen_is_left_alone(
    database: Database, kind: str
) -> None:
    """What is still to come keeps its time, for when posting is released."""
    now = datetime.now(UTC)
    row = {
        "due later": job_row(SCHEDULED, next_attempt_at=now + HOUR),
        "posted": job_row(POSTED),
    }[kind]
    job = await store_row(database, row)
    assert await held(database, job) == job


async def test_a_restored_file_posts_nothing_twice(
    sqlite_site: Site, tmp_path: Path
) -> None:
    """The backup is from before a post; then nothing goes out before a release.

    One that was cancelled since the backup is back, and does not go out by itself.
    """
    job = await sqlite_site.post()
    lost = Path(make_url(sqlite_site.programs.env["DATABASE_URL"]).database or "")
    restored = tmp_path / "restored.db"
    with sqlite3.connect(lost) as source, sqlite3.connect(restored) as target:
        source.backup(target)
    source.close()
    target.close()
    assert (await sqlite_site.programs.run("tick")).code == 0
    assert sqlite_site.published == 1
    url = {"DATABASE_URL": f"sqlite:///{restored}"}
    asked = await sqlite_site.programs.run("restore-hold", **url)
    assert (asked.code, asked.out.split()[0]) == (1, "1")
    assert (await sqlite_site.programs.run("restore-hold", "--yes", **url)).code == 0
    found = Database(url["DATABASE_URL"])
    now = datetime.now(UTC)
    back = await store_row(found, job_row(SCHEDULED, next_attempt_at=now))
    assert (await sqlite_site.programs.run("tick", **url)).code == 0
    assert len(sqlite_site.calls(Call.INIT)) == 1
    assert (await JobStore(found).get(job.id)).status is FAILED
    assert (await JobStore(found).get(back.id)).status is SCHEDULED
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


def backed_up(site: Site, directory: Path) -> tuple[Path, Path]:
    """Make a backup; return the database's file, and the backup's."""
    path = Path(make_url(site.programs.env["DATABASE_URL"]).database or "")
    backup = directory / "backup.db"
    with sqlite3.connect(path) as source, sqlite3.connect(backup) as target:
        source.backup(target)
    source.close()
    target.close()
    return path, backup


def bring_back(path: Path, backup: Path) -> None:
    """Restore it as docs/deploy/backups.md says, but for the hold."""
    for each in (path, *path.parent.glob(f"{path.name}-*")):
        each.unlink(missing_ok=True)
    backup.rename(path)


async def test_a_restore_that_nobody_announced_is_noticed(
    sqlite_site: Site, tmp_path: Path
) -> None:
    """A file beside the database remembers what a process wrote to it."""
    run = sqlite_site.programs.run
    assert (await run("keys", "create")).code == 0
    assert (await run("tick")).code == 0
    job = await sqlite_site.post()
    path, backup = backed_up(sqlite_site, tmp_path)
    assert (await run("tick")).code == 0
    assert sqlite_site.published == 1
    bring_back(path, backup)
    ended = await run("tick")
    assert ended.code == 0
    assert "a backup was restored" in ended.err
    assert sqlite_site.published == 1
    database = Database(f"sqlite:///{path}")
    found = await JobStore(database).get(job.id)
    assert (found.status, found.failure_reason) == (FAILED, FailureReason.UNCONFIRMED)
    await database.close()
    # Told once: after a release the next start goes on.
    assert (await run("release")).code == 0
    again = await run("tick")
    assert "a backup was restored" not in again.err


async def test_a_restore_that_was_announced_is_not_held_again(
    sqlite_site: Site, tmp_path: Path
) -> None:
    """`restore-hold` and `release` are the last word."""
    run = sqlite_site.programs.run
    assert (await run("keys", "create")).code == 0
    path, backup = backed_up(sqlite_site, tmp_path)
    assert (await run("tick")).code == 0
    bring_back(path, backup)
    assert (await run("restore-hold", "--yes")).code == 0
    assert (await run("release")).code == 0
    database = Database(f"sqlite:///{path}")
    due = job_row(SCHEDULED, next_attempt_at=datetime.now(UTC))
    job = await store_row(database, due)
    ended = await run("tick")
    assert "a backup was restored" not in ended.err
    assert (await JobStore(database).get(job.id)).status is not SCHEDULED
    await database.close()
