"""Databases of a shared server, each for one test, and roles of one's own."""

from typing import Any
from uuid import uuid4

from sqlalchemy import make_url

from tests.support.sql import execute


async def make_database(server_url: str, options: str = "") -> str:
    """Make an empty database and return its URL."""
    name = f"ground_{uuid4().hex}"
    await execute(server_url, f"CREATE DATABASE {name} {options}", "SELECT 1")
    return as_url(server_url, database=name)


async def make_role(server_url: str) -> str:
    """Make a role that may log in and nothing else, and return its name."""
    name = f"role_{uuid4().hex}"
    await execute(server_url, f"CREATE ROLE {name} LOGIN", "SELECT 1")
    return name


def as_url(url: str, **change: Any) -> str:  # noqa: ANN401  as SQLAlchemy has it
    """Spell a URL with something else in it."""
    return make_url(url).set(**change).render_as_string(hide_password=False)
