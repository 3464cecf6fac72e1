"""Rows for one worker alone: what another one has locked is passed over."""

from typing import Any

from sqlalchemy import ColumnElement, Select, any_, func, select


def unlocked(rows: Select[Any], *, is_sqlite: bool) -> ColumnElement[bool]:
    """Lock the rows that a select of their key finds, and match them.

    For the WHERE of an UPDATE or a DELETE, which has to ask once more what it expects
    of a row: another transaction may have changed it before it was locked.
    """
    (key,) = rows.selected_columns
    # They stand in a CTE: Postgres may run a LIMIT subquery again inside the UPDATE's
    # join, and would then take more than asked (Oban, engines/basic.ex). SQLite's
    # compiler drops FOR UPDATE; its one writer needs no row locks.
    found = rows.with_for_update(skip_locked=True).cte("unlocked")
    keys = select(found.c[key.name])
    if is_sqlite:
        return key.in_(keys)
    # Postgres looks each key of an array up in the index. A join it plans by the
    # table's statistics, which a busy queue outruns: it then reads all rows.
    return key == any_(func.array(keys.scalar_subquery()))
