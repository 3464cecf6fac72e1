"""Lock rows for one worker; rows that another worker has locked are skipped."""

from typing import Any

from sqlalchemy import ColumnElement, Select, any_, func, select


def unlocked(rows: Select[Any], *, is_sqlite: bool) -> ColumnElement[bool]:
    """Lock the rows that a select of their key finds, and match them.

    For the WHERE of an UPDATE or DELETE, which must repeat the select's conditions:
    another transaction may have changed a row before it was locked.
    """
    (key,) = rows.selected_columns
    # A CTE, because Postgres may run a LIMIT subquery again inside the UPDATE's join
    # and then take more rows than the limit (Oban, engines/basic.ex). SQLite's compiler
    # drops FOR UPDATE; its single writer needs no row locks.
    found = rows.with_for_update(skip_locked=True).cte("unlocked")
    keys = select(found.c[key.name])
    if is_sqlite:
        return key.in_(keys)
    # Postgres looks up each key of an array in the index. It would plan a join by the
    # table's statistics, which lag behind a busy queue, and read all rows.
    return key == any_(func.array(keys.scalar_subquery()))
