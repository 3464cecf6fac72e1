"""Database URLs, as people spell them."""

import pytest
from sqlalchemy.exc import ArgumentError

from app.store.db.engine import Database, normalise_url


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_every_spelling_of_postgres_means_asyncpg(scheme: str) -> None:
    """A host's ready-made URL works as it is, its password included."""
    url = normalise_url(f"{scheme}://me:se%40same@db:5433/jobs")
    assert url.render_as_string(hide_password=False) == (
        "postgresql+asyncpg://me:se%40same@db:5433/jobs"
    )


@pytest.mark.parametrize(
    ("given", "understood"),
    [
        ("?sslmode=require", "?ssl=require"),
        ("?sslmode=disable&channel_binding=prefer", "?ssl=disable"),
        ("?application_name=me&connect_timeout=9&gssencmode=disable", ""),
        ("?ssl=verify-full", "?ssl=verify-full"),
    ],
)
def test_the_parameters_of_libpq_are_translated(given: str, understood: str) -> None:
    """Hosts hand out URLs for libpq, and asyncpg would choke on them."""
    url = normalise_url(f"postgres://me@db/jobs{given}")
    assert str(url) == f"postgresql+asyncpg://me@db/jobs{understood}"


def test_a_parameter_that_nobody_understands_is_named() -> None:
    """One line at the start, not a traceback at the first connection."""
    with pytest.raises(ValueError, match="'krbsrvname' is not understood"):
        normalise_url("postgres://me@db/jobs?krbsrvname=x")


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+aiosqlite"])
def test_every_spelling_of_sqlite_means_aiosqlite(scheme: str) -> None:
    """The file is what was named."""
    url = normalise_url(f"{scheme}:///./scheduler.db")
    assert str(url) == "sqlite+aiosqlite:///./scheduler.db"


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_refused(url: str) -> None:
    """Each connection would have another one."""
    with pytest.raises(ValueError, match="has to be a file"):
        normalise_url(url)


def test_another_database_is_refused() -> None:
    """What is promised holds on SQLite and Postgres alone."""
    with pytest.raises(ValueError, match="only SQLite and Postgres"):
        normalise_url("mysql://me:sesame@db/jobs")


def test_what_is_no_url_is_refused() -> None:
    """With an error that a start can report."""
    with pytest.raises(ArgumentError):
        normalise_url("scheduler.db")


async def test_a_password_is_in_no_text() -> None:
    """Whatever is printed of a database, its password is not."""
    database = Database("postgresql://me:sesame@127.0.0.1/jobs")
    shown = [repr(database), repr(vars(database)), str(database.url)]
    await database.close()
    assert "sesame" not in "".join(shown)
