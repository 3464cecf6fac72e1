"""What several tests of the accounts' store watch."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event

from app.store.db.engine import Database


@pytest.fixture
def pages(database: Database) -> Iterator[list[int]]:
    """Note how many jobs each statement changes."""
    found: list[int] = []

    def note(*call: Any) -> None:  # noqa: ANN401  SQLAlchemy's own signature
        if call[2].startswith(("UPDATE schedule_jobs", "WITH")):
            found.append(call[1].rowcount)

    event.listen(database.engine.sync_engine, "after_cursor_execute", note)
    yield found
    event.remove(database.engine.sync_engine, "after_cursor_execute", note)
