"""Bring the database to a revision of migrations/."""

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from app.store.engine import normalise_url

_PACKAGE: Final = Path(__file__).resolve().parent.parent
_PLACES: Final = (_PACKAGE.parent / "migrations", _PACKAGE / "_migrations")


def alembic_config(url: str) -> Config:
    """Return alembic's settings for one database.

    The scripts lie beside the package in a checkout and inside it in a wheel.
    """
    config = Config()
    scripts = next(place for place in _PLACES if (place / "env.py").is_file())
    # Alembic reads %(name)s in its options; a folder's name means itself.
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.attributes["url"] = normalise_url(url)
    return config


def upgrade(url: str, revision: str = "head") -> None:
    """Run the migrations up; blocks, and must not be called on an event loop."""
    command.upgrade(alembic_config(url), revision)


def downgrade(url: str, revision: str) -> None:
    """Run the migrations down; blocks likewise."""
    command.downgrade(alembic_config(url), revision)


def newest_revision(url: str) -> str | None:
    """Return the revision this program was written for."""
    return ScriptDirectory.from_config(alembic_config(url)).get_current_head()
