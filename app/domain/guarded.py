"""Records with fields that nobody may see."""

from functools import cache
from inspect import get_annotations
from typing import Annotated, Final, TypeVar

from msgspec import Struct

Value = TypeVar("Value")

_HIDDEN: Final = "hidden"

Hidden = Annotated[Value, _HIDDEN]
"""The type of a field whose value no repr shows: a secret, or a URL that has one."""


class Guarded(Struct, frozen=True):
    """A record whose repr leaves its ``Hidden`` fields out."""

    def __repr__(self) -> str:
        """Show the other fields."""
        shown = (
            f"{name}={getattr(self, name)!r}"
            for name in self.__struct_fields__
            if name not in hidden_fields(type(self))
        )
        return f"{type(self).__name__}({', '.join(shown)})"


@cache
def hidden_fields(record: type[Struct]) -> frozenset[str]:
    """Name the ``Hidden`` fields of a kind of record."""
    return frozenset(
        name
        for each in record.__mro__
        for name, kind in get_annotations(each).items()
        if _HIDDEN in getattr(kind, "__metadata__", ())
    )
