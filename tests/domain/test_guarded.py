"""Fields that nobody may see stay out of every repr."""

import pkgutil
from collections.abc import Iterator
from importlib import import_module

from msgspec import Struct

import app
from app.domain.guarded import Guarded, Hidden, hidden_fields


class Known(Guarded, frozen=True):
    """What a record adds to."""

    token: Hidden[str]
    name: str


class More(Known, frozen=True):
    """A record that adds a field to one with a secret."""

    former: Hidden[str | None] = None
    count: int = 0


def test_a_hidden_field_is_not_shown() -> None:
    """A repr shows every field but the hidden ones, its base's too."""
    assert repr(Known("secret", "laptop")) == "Known(name='laptop')"
    assert repr(More("secret", "laptop", "older")) == "More(name='laptop', count=0)"


def test_every_record_with_a_hidden_field_is_guarded() -> None:
    """Only a guarded record's repr leaves fields out."""
    for each in pkgutil.walk_packages(app.__path__, "app."):
        if not each.name.startswith("app.sandbox") and "__main__" not in each.name:
            import_module(each.name)
    records = [each for each in _below(Struct) if each.__module__.startswith("app.")]
    hiding = {each for each in records if hidden_fields(each)}
    assert hiding
    assert hiding == {each for each in _below(Guarded) if each in records}


def _below(kind: type[Struct]) -> Iterator[type[Struct]]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)
