"""Looking for a lost init's publish costs what the account has, not what all have."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import event, insert, text

from app.store.accounts.account_store import AccountStore
from app.store.db.engine import Database
from app.store.jobs.confirmations import ConfirmationStore
from app.store.jobs.tables import job_attempts, schedule_jobs, tiktok_events
from tests.store.cost import measured
from tests.support.accounts import VAULT, new_account
from tests.support.factories import NOW, POSTED, job_row, store_row, unconfirmed

OPEN_ID = "open_1"
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
LONG_AGO = NOW - timedelta(days=60)
ACCOUNTS = 100
FEW, MANY = 2_000, 8_000
SLACK = 60  # a level more of a tree here and there


async def post(database: Database, numbers: range, at: datetime) -> None:
    """Add posts of a hundred accounts, each with its attempt and TikTok's event.

    The database knows what it holds then, as it does where somebody ran ANALYZE.
    """
    jobs = [
        job_row(
            POSTED,
            id=f"{n:08}",
            project_id=f"proj_{n % ACCOUNTS}",
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
            "open_id": f"open_{n % ACCOUNTS}",
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
    sent = list[tuple[str, Any]]()

    def note(*call: Any) -> None:  # noqa: ANN401  SQLAlchemy's own signature
        sent.append((call[2], call[3]))

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    await ConfirmationStore(database).orphan(job, OPEN_ID, since=NOW - MINUTE)
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)
    before = await measured(database, *sent[-1])
    await post(database, range(FEW, MANY), LONG_AGO)
    after = await measured(database, *sent[-1])
    assert after <= 1.2 * before + SLACK
