"""Whether the service can do its work."""

import asyncio
from enum import StrEnum
from typing import Final

from app.domain.errors import StoreUnavailable
from app.store.db.engine import Database
from app.store.db.revision import is_migrated

PATIENCE_SECONDS: Final = 3.0
"""The longest that a health check waits for the database."""


class DatabaseState(StrEnum):
    """What stands between the service and its work."""

    READY = "ready"
    DATABASE_UNAVAILABLE = "database_unavailable"
    DATABASE_NOT_MIGRATED = "database_not_migrated"


async def readiness(
    database: Database, *, patience: float = PATIENCE_SECONDS
) -> DatabaseState:
    """Look at the database."""
    try:
        async with asyncio.timeout(patience):
            migrated = await is_migrated(database)
    except (StoreUnavailable, TimeoutError):
        return DatabaseState.DATABASE_UNAVAILABLE
    return DatabaseState.READY if migrated else DatabaseState.DATABASE_NOT_MIGRATED
