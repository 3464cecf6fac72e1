"""The database is opened in one place, as the settings say."""

import re

from pydantic import SecretStr

from app.opening import open_database
from app.settings import Settings
from tests.support.repository import ROOT


async def test_every_setting_of_the_database_is_its_own() -> None:
    """Each program takes as many connections as DATABASE_POOL_SIZE says."""
    settings = Settings(
        database_url=SecretStr("postgresql://me@localhost/jobs"),
        database_pool_size=3,
        database_schema="mine",
        database_hints=False,
        _env_file=None,
    )
    database = open_database(settings)
    assert (database.pool_size, database.schema) == (3, "mine")
    assert not database.has_hints
    assert "size: 3 " in database.engine.pool.status()
    await database.close()


def test_no_program_opens_it_otherwise() -> None:
    """Else a setting would be forgotten there."""
    opening = re.compile(r"(?<!class )\bDatabase\(")
    programs = (ROOT / "app").rglob("*.py")
    found = [each.name for each in programs if opening.search(each.read_text())]
    assert found == ["opening.py"]
