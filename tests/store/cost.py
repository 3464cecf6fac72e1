"""What a statement makes the database do, which does not depend on the machine."""

import json
import re
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.db.engine import Database


async def measured(database: Database, sql: str, parameters: Any) -> float:  # noqa: ANN401
    """Run a statement once more: count Postgres' pages, or SQLite's instructions."""
    async with database.read() as connection:
        if not database.is_sqlite:
            # The server's own statistics have it, whatever the plan is made of.
            explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}"
            found = (await connection.exec_driver_sql(explain, parameters)).scalar_one()
            plan = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
            return float(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
        steps = 0

        def step() -> None:
            nonlocal steps
            steps += 1

        raw: Any = (await connection.get_raw_connection()).driver_connection
        await raw.set_progress_handler(step, 10)
        await connection.exec_driver_sql(sql, parameters)
        await raw.set_progress_handler(None, 0)
        return float(steps)


async def kept_plan(
    connection: AsyncConnection, sql: str, options: str = ""
) -> list[str]:
    """Return what Postgres says of the plan that it keeps for all values.

    EXPLAIN of a statement with parameters shows the plan for these.
    """
    await connection.execute(text("SET LOCAL plan_cache_mode = force_generic_plan"))
    await connection.exec_driver_sql(f"PREPARE kept AS {sql}")
    count = max(map(int, re.findall(r"\$(\d+)", sql)), default=0)
    values = f"({', '.join(['NULL'] * count)})" if count else ""
    rows = await connection.exec_driver_sql(f"EXPLAIN {options} EXECUTE kept{values}")
    plan = [row[0] for row in rows]
    await connection.execute(text("DEALLOCATE kept"))
    return plan
