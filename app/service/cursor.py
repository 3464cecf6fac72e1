"""Where the next page of a list begins, in a form that callers do not take apart."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from uuid import UUID

from app.domain.errors import FieldError, InvalidInput


def encode_cursor(last_id: str) -> str:
    """Write the cursor that follows the row with this id."""
    return urlsafe_b64encode(UUID(last_id).bytes).decode().rstrip("=")


def decode_cursor(cursor: str) -> str:
    """Read the id of the last row seen; raises InvalidInput for what is no cursor."""
    try:
        last_id: str | None = str(
            UUID(bytes=urlsafe_b64decode(cursor.encode("ascii") + b"=="))
        )
    except ValueError:
        last_id = None
    # The decoder skips what it does not know; only our own spelling is a cursor.
    if last_id is None or encode_cursor(last_id) != cursor:
        message = "is no cursor; take it from nextCursor of the page before"
        raise InvalidInput(FieldError("/cursor", message))
    return last_id
