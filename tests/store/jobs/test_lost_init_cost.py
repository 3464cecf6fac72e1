"""Looking for a lost init's publish costs what the account has, not what all have."""

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert, text

from app.domain.jobs.job import Job
from app.store.accounts.account_store import AccountStore
from app.store.db.engine import Database
from app.store.jobs.confirmations import ConfirmationStore
from app.store.jobs.tables import job_attempts, schedule_jobs, tiktok_events
from tests.store.cost import kept_plan, measured
from tests.support.accounts import VAULT, new_account
from tests.support.factories import NOW, POSTED, job_row, store_row, unconfirmed

OPEN_ID = "open_1"
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
LONG_AGO = NOW - timedelta(days=60)
ACCOUNTS = 100
FEW, MANY = 2_000, 8_000
SLACK = 60  # a level more of a tree here and there
LARGE = ("schedule_jobs", "job_attempts", "tiktok_events")
PLANNED_WITH_VALUES = 5  # uses of a statement, before Postgres compares estimates
MILLIONS = text(
    "UPDATE pg_class SET reltuples = 5000000"
    f" WHERE relname IN ({', '.join(repr(each) for each in LARGE)})"
)
DEAR_LOOK_UPS = (
    "random_page_cost = 40",  # 4 is the default
    "parallel_setup_cost = 0",
    "parallel_tuple_cost = 0",
    "min_parallel_table_scan_size = 0",
    "min_parallel_index_scan_size = 0",
)
WHOLE_TABLES = re.compile("Gather|Hash Cond|Merge Cond|Seq Scan on (schedule|job|tik)")
KEPT = text(
    "SELECT sum(generic_plans) FROM pg_prepared_statements"
    " WHERE statement LIKE '%past_publishes%' AND statement NOT LIKE '%sum(%'"
)


async def post(
    database: Database, numbers: range, at: datetime, *, accounts: int = ACCOUNTS
) -> None:
    """Add posts of some accounts, each with its attempt and TikTok's event.

    The database knows what it holds then, as it does where somebody ran ANALYZE.
    """
    jobs = [
        job_row(
            POSTED,
            id=f"{n:08}",
            project_id=f"proj_{n % accounts + 1}",
            publish_id=f"pub_{n}",
            created_at=at,
            updated_at=at,
        )
        for n in numbers
    ]
    attempts = [
        {
            "job_id": f"{n:08}",
            "number": 1,
            "started_at": at,
            "finished_at": at,
            "outcome": "published",
            "decision": "posted",
            "publish_id": f"pub_{n}",
        }
        for n in numbers
    ]
    events = [
        {
            "id": f"{n:08}",
            "dedup_key": f"{n}",
            "event": "post.publish.complete",
            "open_id": f"open_{n % accounts + 1}",
            "publish_id": f"pub_{n}",
            "created_at": at + n * SECOND,
            "received_at": at + n * SECOND,
            "body": "{}",
        }
        for n in numbers
    ]
    tables = {schedule_jobs: jobs, job_attempts: attempts, tiktok_events: events}
    async with database.write() as connection:
        for table, rows in tables.items():
            await connection.execute(insert(table), rows)
        await connection.execute(text("ANALYZE"))


async def test_a_lost_init_is_looked_for_among_its_accounts_events(
    database: Database,
) -> None:
    """Four times the posts of long ago: the same pages of memory, the same work."""
    await AccountStore(database, VAULT).put(new_account(), now=NOW)
    job = await store_row(database, unconfirmed())
    await post(database, range(ACCOUNTS), NOW)
    await post(database, range(ACCOUNTS, FEW), LONG_AGO)
    look = await sent_for(database, job)
    before = await measured(database, *look)
    await post(database, range(FEW, MANY), LONG_AGO)
    after = await measured(database, *look)
    assert after <= 1.2 * before + SLACK


@pytest.mark.parametrize("accounts", [1, ACCOUNTS])
@pytest.mark.parametrize("open_id", [OPEN_ID, "open_without_posts"])
async def test_it_is_planned_once_and_by_indexes(
    database: Database, accounts: int, open_id: str
) -> None:
    """To plan it takes Postgres longer than to run it, whoever has how many posts."""
    if database.is_sqlite:
        pytest.skip("SQLite plans a statement once")
    await AccountStore(database, VAULT).put(new_account(), now=NOW)
    job = await store_row(database, unconfirmed())
    await post(database, range(FEW), LONG_AGO, accounts=accounts)
    async with database.write() as connection:
        await connection.execute(MILLIONS)
    sql, values = await sent_for(database, job, open_id)
    async with database.write() as connection:
        for _ in range(PLANNED_WITH_VALUES):
            await connection.exec_driver_sql(sql, values)
        assert (await connection.execute(KEPT)).scalar_one() == 1
        for setting in DEAR_LOOK_UPS:
            await connection.execute(text(f"SET LOCAL {setting}"))
        plan = "\n".join(await kept_plan(connection, sql))
    assert not WHOLE_TABLES.search(plan)
    assert "ix_schedule_jobs_changes" in plan


async def sent_for(
    database: Database, job: Job, open_id: str = OPEN_ID
) -> tuple[str, Any]:
    """Look for a job's publish; return the statement and its values."""
    sent = list[tuple[str, Any]]()

    def note(*call: Any) -> None:  # noqa: ANN401  SQLAlchemy's own signature
        sent.append((call[2], call[3]))

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    await ConfirmationStore(database).orphan(job, open_id, since=NOW - MINUTE)
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)
    return sent[-1]
