"""Statements on a Postgres, past everything of ours."""

import asyncio

import asyncpg
from sqlalchemy import make_url


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


def execute_now(url: str, *statements: str) -> object:
    """Do the same where no loop runs."""
    return asyncio.run(execute(url, *statements))
