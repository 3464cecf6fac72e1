""".env.example is the list of settings that people read; it may not lie."""

import re

import pytest

from app.settings import Settings
from tests.support.repository import ROOT

EXAMPLE = ROOT / ".env.example"
LINE = re.compile(r"^(# )?([A-Z][A-Z0-9_]+)=(.*)$", re.MULTILINE)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's own variables out."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)


def test_every_variable_is_listed_once() -> None:
    """No setting is missing, none is made up."""
    listed = [name for _, name, _ in LINE.findall(EXAMPLE.read_text())]
    assert sorted(listed) == sorted(name.upper() for name in Settings.model_fields)


def test_the_values_shown_are_the_defaults() -> None:
    """Copying the file to .env changes nothing."""
    assert Settings(_env_file=EXAMPLE) == Settings(_env_file=None)


def test_only_what_has_no_default_is_commented_out() -> None:
    """A default is shown; a line without one waits behind a `#`."""
    defaults = Settings(_env_file=None)
    for commented, name, _ in LINE.findall(EXAMPLE.read_text()):
        assert bool(commented) == (getattr(defaults, name.lower()) in (None, ())), name
