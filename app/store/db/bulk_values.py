"""Many rows of values in one statement, with one text for any number of rows.

One bound list per column on Postgres, one JSON text on SQLite. A VALUES list would be
a different statement for each number of rows, compiled and planned each time.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, Self

from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    FromClause,
    Text,
    any_,
    bindparam,
    column,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.sql.type_api import TypeEngine

_NO_WORD: Final[ColumnElement[str]] = literal_column("''")


class BulkValues:
    """A table of bound values inside a statement.

    ``table`` is named ``given``, has the columns of ``types``, and joins like any
    other; ``bind`` makes the parameters of one execution.
    """

    def __init__(
        self,
        types: Mapping[str, TypeEngine[Any]],
        *,
        is_sqlite: bool,
        words: Collection[str] = (),
    ) -> None:
        """Take the columns; ``words`` names those whose texts are words of our own.

        Such a text is not empty and has no comma. Postgres gets them as one text per
        column: asyncpg takes longer to look at a list's items than to send them.
        """
        self._types = dict(types)
        self._is_sqlite = is_sqlite
        self._as_list = [_joined if name in words else _dense for name in types]
        self._words = frozenset(words)
        self.table = self._one_text() if is_sqlite else self._lists()
        self._writers = self._texts() if is_sqlite else []

    @classmethod
    def like(cls, columns: Iterable[Column[Any]], *, is_sqlite: bool) -> Self:
        """Make one with a table's column names and types."""
        return cls({each.name: each.type for each in columns}, is_sqlite=is_sqlite)

    def bind(self, rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
        """Return the parameters for these rows, at least one."""
        if self._is_sqlite:
            return {"given": json.dumps(self._as_stored(rows))}
        columns = zip(self._as_list, zip(*rows, strict=True), strict=True)
        lists = (as_list(values) for as_list, values in columns)
        return dict(zip(map(_parameter, self._types), lists, strict=True))

    def is_in(self, key: Column[Any]) -> ColumnElement[bool]:
        """Match the rows of a table whose key, of the same name, is among the values.

        For Postgres, beside the join: it looks up each key of an array in the index.
        It would plan the join by the statistics, and read a small table as a whole.
        """
        if self._is_sqlite:
            return true()
        keys = select(func.unnest(self._list(key.name, self._types[key.name])))
        return key == any_(func.array(keys.scalar_subquery()))

    def _lists(self) -> FromClause:
        lists = [self._list(name, kind) for name, kind in self._types.items()]
        columns = [column(name, kind) for name, kind in self._types.items()]
        made = func.unnest(*lists).table_valued(*columns)
        return made.render_derived(name="given")

    def _texts(self) -> list[Callable[[Any], Any] | None]:
        from sqlalchemy.dialects.sqlite import dialect

        sqlite = dialect()
        kinds = self._types.values()
        return [kind.dialect_impl(sqlite).bind_processor(sqlite) for kind in kinds]

    def _list(self, name: str, kind: TypeEngine[Any]) -> ColumnElement[Any]:
        if name in self._words:
            words = bindparam(_parameter(name), type_=Text())
            return func.string_to_array(words, literal_column("','"), _NO_WORD)
        return bindparam(_parameter(name), type_=ARRAY(kind, dimensions=1))

    def _one_text(self) -> FromClause:
        rows = func.json_each(bindparam("given", type_=Text())).table_valued("value")
        columns = [
            func.json_extract(rows.c.value, f"$[{place}]", type_=kind).label(name)
            for place, (name, kind) in enumerate(self._types.items())
        ]
        return select(*columns).select_from(rows).subquery("given")

    def _as_stored(self, rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
        pairs = zip(zip(*rows, strict=True), self._writers, strict=True)
        columns = [each if write is None else map(write, each) for each, write in pairs]
        return list(zip(*columns, strict=True))


def _dense(values: Sequence[Any]) -> Sequence[Any] | None:
    # unnest() pads shorter lists with NULL.
    is_empty = values[0] is None and values.count(None) == len(values)
    return None if is_empty else values


def _joined(values: Sequence[str | None]) -> str | None:
    if _dense(values) is None:
        return None
    text = ",".join([value or "" for value in values])
    if text.count(",") != len(values) - 1:
        raise ValueError("a word has a comma")
    return text


def _parameter(name: str) -> str:
    return f"given_{name}"
