"""Bring the database to a revision of migrations/.

Alembic is imported only when something migrates: other programs start without it.
"""

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from app.store.db.engine import normalise_url

if TYPE_CHECKING:
    from alembic.config import Config

_PACKAGE: Final = Path(__file__).resolve().parents[2]
_PLACES: Final = (_PACKAGE.parent / "migrations", _PACKAGE / "_migrations")
_REVISIONS: Final = re.compile(r'^(down_)?revision = "(\w+)"$', re.MULTILINE)


VERSION_TABLE: Final = "tiktok_scheduler_version"
"""The table of our revision: another program in the database may use alembic, too."""

FORMER_VERSION_TABLE: Final = "alembic_version"
"""The table up to revision ``LAST_FORMER``; older programs still read it."""

LAST_FORMER: Final = "0010"


def alembic_config(url: str, schema: str | None = None) -> "Config":
    """Return alembic's settings for one database."""
    from alembic.config import Config

    config = Config()
    # Alembic expands %(name)s in options, so a % in a path is doubled.
    config.set_main_option("script_location", str(_scripts()).replace("%", "%%"))
    config.attributes["url"] = normalise_url(url)
    config.attributes["schema"] = schema
    return config


def upgrade(url: str, revision: str = "head", *, schema: str | None = None) -> None:
    """Run the migrations up; blocks, and must not be called on an event loop."""
    from alembic import command

    command.upgrade(alembic_config(url, schema), revision)


def downgrade(url: str, revision: str) -> None:
    """Run the migrations down; blocks likewise."""
    from alembic import command

    command.downgrade(alembic_config(url), revision)


def newest_revision() -> str:
    """Return the newest revision, which this program needs."""
    named, built_on = _revisions()
    (newest,) = named - built_on
    return newest


def revisions() -> frozenset[str]:
    """Return the names of every revision."""
    return frozenset(_revisions()[0])


@cache  # read from files that do not change while we run
def _revisions() -> tuple[set[str], set[str]]:
    """Return all revisions of the scripts, and those that another one follows."""
    found: list[tuple[str, str]] = [
        each
        for script in (_scripts() / "versions").glob("*.py")
        for each in _REVISIONS.findall(script.read_text("utf-8"))
    ]
    named = {name for down, name in found if not down}
    return named, {name for down, name in found if down}


def _scripts() -> Path:
    """Find the scripts: beside the package in a checkout, inside it in a wheel."""
    return next(place for place in _PLACES if (place / "env.py").is_file())
