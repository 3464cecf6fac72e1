"""What several tests of the jobs' store watch."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event

from app.store.db.engine import Database


@pytest.fixture
def sent(database: Database) -> Iterator[list[str]]:
    """Collect what goes to the database, transactions included."""
    found, engine = list[str](), database.engine.sync_engine

    def note(*call: Any) -> None:  # noqa: ANN401  SQLAlchemy's own signature
        found.append(call[2])

    def end(*_: object) -> None:
        found.append("COMMIT")

    event.listen(engine, "before_cursor_execute", note)
    event.listen(engine, "commit", end)
    yield found
    event.remove(engine, "before_cursor_execute", note)
    event.remove(engine, "commit", end)
