"""Pages of lists, and the cursors at which they begin, opaque to callers."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Generic, TypeVar
from uuid import UUID

from msgspec import Struct

from app.domain.errors import FieldError, InvalidInput
from app.domain.naming import problem_with_name
from app.store.jobs.requests.listing import NEWEST_FIRST, JobOrder, JobPosition, JobSort

Item = TypeVar("Item")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_ORDERS: Final = tuple(
    JobOrder(sort=sort, descending=descending)
    for sort in JobSort
    for descending in (True, False)
)
"""A cursor stores the index here, so the order must not change."""


class Page(Struct, Generic[Item], frozen=True):
    """A page of a list."""

    items: Sequence[Item]
    next_cursor: str | None  # None: this is the last page


def cut_page(
    found: Sequence[Item], limit: int, cursor_after: Callable[[Item], str]
) -> Page[Item]:
    """Cut a page off the rows found, of which there is one more if another follows."""
    page = found[:limit]
    return Page(page, cursor_after(page[-1]) if len(found) > limit else None)


def encode_cursor(last_id: str) -> str:
    """Return the cursor after the row with this id."""
    return _encode(UUID(last_id).bytes)


def decode_cursor(cursor: str) -> str:
    """Return the last row's id; raises InvalidInput for an invalid cursor."""
    return _uuid(_decode(cursor))


def encode_job_cursor(position: JobPosition, order: JobOrder) -> str:
    """Return the cursor after a job in an order."""
    parts = [UUID(position.id).bytes]
    if order != NEWEST_FIRST:  # its cursor is only the id, as in older versions
        parts.insert(0, _ORDERS.index(order).to_bytes(1, "big"))
    if position.scheduled_for is not None:
        since = (position.scheduled_for - _EPOCH) // _MICROSECOND
        parts.append(since.to_bytes(8, "big", signed=True))
    return _encode(b"".join(parts))


def decode_job_cursor(cursor: str) -> tuple[JobPosition, JobOrder]:
    """Read what ``encode_job_cursor`` wrote; raises InvalidInput for anything else."""
    data = _decode(cursor)
    if len(data) == 16:
        return JobPosition(id=_uuid(data)), NEWEST_FIRST
    if not data or data[0] >= len(_ORDERS):
        raise _NO_CURSOR
    order, last_id = _ORDERS[data[0]], _uuid(data[1:17])
    if order.sort is JobSort.CREATED_AT:
        if len(data) != 17:
            raise _NO_CURSOR
        return JobPosition(id=last_id), order
    if len(data) != 25:
        raise _NO_CURSOR
    since = int.from_bytes(data[17:], "big", signed=True)
    try:
        at = _EPOCH + since * _MICROSECOND
    except OverflowError:
        raise _NO_CURSOR from None
    return JobPosition(id=last_id, scheduled_for=at), order


def encode_name_cursor(last: str) -> str:
    """Return the cursor after the row with this name."""
    return _encode(last.encode())


def decode_name_cursor(cursor: str) -> str:
    """Return the last row's name; raises InvalidInput for an invalid cursor."""
    try:
        name = _decode(cursor).decode()
    except ValueError:
        raise _NO_CURSOR from None
    if problem_with_name(name):
        raise _NO_CURSOR
    return name


_NO_CURSOR: Final = InvalidInput(
    FieldError("/cursor", "is not a valid cursor; use nextCursor of the previous page")
)


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def _decode(cursor: str) -> bytes:
    try:
        data = urlsafe_b64decode(cursor.encode("ascii") + b"==")
    except ValueError:
        raise _NO_CURSOR from None
    # The decoder skips unknown characters; only our own spelling is valid.
    if _encode(data) != cursor:
        raise _NO_CURSOR
    return data


def _uuid(data: bytes) -> str:
    try:
        return str(UUID(bytes=data))
    except ValueError:
        raise _NO_CURSOR from None
