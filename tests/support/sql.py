"""Run statements on a Postgres without any code of ours."""

import asyncio

import asyncpg
from sqlalchemy import make_url

from tests.support.patience import PATIENCE_SECONDS


async def execute(url: str, *statements: str) -> object:
    """Run statements and return the first value of the last one."""
    dsn = make_url(url).set(drivername="postgresql")
    connection = await asyncpg.connect(dsn.render_as_string(hide_password=False))
    try:
        for statement in statements[:-1]:
            await connection.execute(statement)
        return await connection.fetchval(statements[-1])
    finally:
        await connection.close()


async def until_one_waits(url: str) -> None:
    """Wait until a statement waits for another transaction's lock."""
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await execute(url, waiting):  # noqa: ASYNC110  the server's state
            await asyncio.sleep(0.01)


def execute_now(url: str, *statements: str) -> object:
    """Do the same where no loop runs."""
    return asyncio.run(execute(url, *statements))
