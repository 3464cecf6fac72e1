"""Read single JSON values leniently: a wrong type counts as missing."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from app.tiktok.text import clean, well_formed

Json = Mapping[str, Any]

_MAX_ID_LENGTH: Final = 200  # publish ids are documented with 64
_MAX_DIGITS: Final = 19  # of a 64-bit integer
_MAX_SECONDS: Final = 10 * 365 * 24 * 3600  # keeps sums with the clock in range


def json_object(text: str | bytes) -> Json | None:
    """Read a JSON object; None for anything else."""
    try:
        value = _read(text)
    except (ValueError, RecursionError):  # bad UTF-8 and endless numbers, too
        return None
    return value if isinstance(value, dict) else None


def _read(text: str | bytes) -> Any:  # noqa: ANN401
    try:
        return msgspec.json.decode(text)  # a third of the time
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return json.loads(text)  # it takes more: NaN, other encodings, half surrogates


def text(value: object) -> str:
    """Return a text that any encoder accepts, empty if there is none."""
    return well_formed(value) if isinstance(value, str) else ""


def names(value: object) -> tuple[str, ...]:
    """Return the names of a comma list."""
    parts = (part.strip() for part in text(value).split(","))
    return tuple(part for part in parts if part)


def integer(value: object) -> int | None:
    """Return a non-negative 64-bit integer, also from digits in a string."""
    if type(value) is int and 0 <= value < 10**_MAX_DIGITS:
        return value
    digits = _digits(value)
    return int(digits) if digits is not None else None


def seconds(value: object) -> int | None:
    """Return a lifetime in seconds, of at most ten years."""
    number = integer(value)
    return None if number is None else min(number, _MAX_SECONDS)


def moment(value: object) -> datetime | None:
    """Return a time given in whole seconds since 1970, aware UTC."""
    number = integer(value)
    try:
        return None if number is None else datetime.fromtimestamp(number, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def identifier(value: object) -> str | None:
    """Return an id as its exact text, None if it could not be sent back unchanged.

    TikTok's ids of 19 digits and more come as JSON numbers or as strings; they exceed
    2^53, so they must not pass through a float anywhere.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if 0 < value < 10**_MAX_ID_LENGTH else None
    if not isinstance(value, str) or len(value) > _MAX_ID_LENGTH:
        return None
    if not value.strip("0"):  # TikTok sends 0 for no id
        return None
    return value if value and clean(value, limit=_MAX_ID_LENGTH) == value else None


def post_identifier(value: object) -> str | None:
    """Return the id of a post, which is a positive number, also where it is a text."""
    found = identifier(value)
    return None if found is None or found.startswith("-") else found


def post_identifiers(value: object) -> tuple[str, ...]:
    """Return every id of a list, or of a single value; missing is empty."""
    if not value:
        return ()
    values = value if isinstance(value, list) else [value]
    found = (post_identifier(entry) for entry in values)
    return tuple(entry for entry in found if entry is not None)


def _digits(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, float):
        if not value.is_integer():
            return None
        value = int(value)
    # Larger than any id or time; Python refuses to convert very long numbers.
    if isinstance(value, int) and value >= 10**_MAX_DIGITS:
        return None
    digits = str(value)
    sound = digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS
    return digits if sound else None
