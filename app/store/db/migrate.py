"""Bring the database to a revision of migrations/.

Alembic is imported by whoever migrates: no program else has to wait for it.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from app.store.db.engine import normalise_url

if TYPE_CHECKING:
    from alembic.config import Config

_PACKAGE: Final = Path(__file__).resolve().parents[2]
_PLACES: Final = (_PACKAGE.parent / "migrations", _PACKAGE / "_migrations")
_REVISIONS: Final = re.compile(r'^(down_)?revision = "(\w+)"$', re.MULTILINE)


def alembic_config(url: str) -> "Config":
    """Return alembic's settings for one database."""
    from alembic.config import Config

    config = Config()
    # Alembic reads %(name)s in its options; a folder's name means itself.
    config.set_main_option("script_location", str(_scripts()).replace("%", "%%"))
    config.attributes["url"] = normalise_url(url)
    return config


def upgrade(url: str, revision: str = "head") -> None:
    """Run the migrations up; blocks, and must not be called on an event loop."""
    from alembic import command

    command.upgrade(alembic_config(url), revision)


def downgrade(url: str, revision: str) -> None:
    """Run the migrations down; blocks likewise."""
    from alembic import command

    command.downgrade(alembic_config(url), revision)


def newest_revision() -> str:
    """Return the revision this program was written for: the one nobody builds on."""
    scripts = (_scripts() / "versions").glob("*.py")
    found: list[list[tuple[str, str]]] = [
        _REVISIONS.findall(script.read_text("utf-8")) for script in scripts
    ]
    named = {name for names in found for down, name in names if not down}
    built_on = {name for names in found for down, name in names if down}
    (newest,) = named - built_on
    return newest


def _scripts() -> Path:
    """Find the scripts: beside the package in a checkout, inside it in a wheel."""
    return next(place for place in _PLACES if (place / "env.py").is_file())
