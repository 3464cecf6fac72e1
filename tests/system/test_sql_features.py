"""What the statements need of a database that speaks Postgres' protocol.

A Postgres of the test's own logs every statement that it is sent.
"""

import asyncio
import csv
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from app.sandbox.recording import Call
from app.store.db.inspection import inspect_database
from app.store.db.migrate import upgrade
from app.store.db.notify import DueHints
from app.store.jobs.confirmations import ConfirmationStore
from app.store.jobs.requests.listing import JobFilter, JobOrder, JobSort, position_of
from tests.runner.stage import Stage, staged
from tests.support.postgres import TEST_FLAGS, PostgresServer
from tests.support.repository import ROOT
from tests.support.sql_features import FEATURES, features_of

PAGE = ROOT / "docs" / "deploy" / "postgres.md"
LOGGED = ("log_statement=all", "logging_collector=on", "log_destination=csvlog")
MESSAGE = 13  # https://www.postgresql.org/docs/current/runtime-config-logging.html
SENT = re.compile(r"(?:statement|execute [^:]*): (?P<sql>.*)", re.DOTALL)
HINTS = {"`LISTEN`", "`pg_notify`"}


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """Give a Postgres that writes down what it is sent."""
    flags = (word for each in LOGGED for word in ("-c", each))
    with PostgresServer(flags=(*TEST_FLAGS, *flags)) as server:
        yield server


def sent_to(server: PostgresServer) -> set[str]:
    """List the statements."""
    assert server._directory is not None
    folder = server._directory / "data" / "log"
    found = set[str]()
    for path in folder.glob("*.csv"):
        found |= set(_statements(path))
    return found


def _statements(path: Path) -> Iterator[str]:
    with path.open(newline="") as lines:
        for row in csv.reader(lines):
            if told := SENT.fullmatch(row[MESSAGE]):
                yield told["sql"]


def listed() -> list[str]:
    """Read the features in the page's table."""
    _, _, rest = PAGE.read_text("utf-8").partition("## What an engine has to offer")
    section, _, _ = rest.partition("\n## ")
    rows = [row.split(" | ")[0].removeprefix("| ") for row in section.splitlines()]
    return [name for row in rows for name in row.split("; ") if name in FEATURES]


@asynccontextmanager
async def posting(server: PostgresServer, **settings: object) -> AsyncIterator[Stage]:
    """Migrate, post now with a worker that listens, and edit and cancel another job."""
    await asyncio.to_thread(upgrade, server.url)
    async with staged(server.url) as stage:
        worker = await stage.worker(**settings)
        made = worker.container
        await stage.connect(worker, "proj_1")
        hints = DueHints(made.database, stage.clock)
        async with hints.waking(worker.runner.wake), stage.running(worker):
            await stage.job(worker, scheduled_for=None)
            await stage.until_called(Call.STATUS)
        yield stage


async def test_the_page_lists_what_statements_need(server: PostgresServer) -> None:
    """A distributed engine can be judged by the list."""
    async with posting(server) as stage:
        worker = await stage.worker()
        jobs, now = worker.container.jobs, stage.clock.now()
        (posted,) = await jobs.list(JobFilter(project_id="proj_1"), limit=1)
        later = await stage.job(worker, scheduled_for=now + timedelta(days=1))
        await jobs.cancel(later.id, now=now)
        by_time = JobOrder(sort=JobSort.SCHEDULED_FOR)
        after = position_of(later, by_time)
        await jobs.list(JobFilter(project_id="proj_1"), by_time, limit=1, after=after)
        await inspect_database(worker.container.database)
        doubts = ConfirmationStore(worker.container.database)
        await doubts.orphan(posted, "user_1", since=now)
    assert features_of(sent_to(server)) == set(listed())


async def test_without_hints_none_are_sent(server: PostgresServer) -> None:
    """DATABASE_HINTS=false does without LISTEN and NOTIFY, and posts all the same."""
    async with posting(server, database_hints=False):
        pass
    used = features_of(sent_to(server))
    assert not used & HINTS
    assert used >= {"`FOR UPDATE SKIP LOCKED`", "`unnest` of several arrays"}
