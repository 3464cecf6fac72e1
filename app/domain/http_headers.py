"""What an answer's headers say: when to ask again, and how large a file is.

https://www.rfc-editor.org/rfc/rfc9110
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

_LONGEST_SIZE: Final = 19  # digits
_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)


def parse_retry_after(value: str | None, *, now: datetime) -> float | None:
    """Return the seconds to wait, from a number or an HTTP date; None for nonsense.

    A time in the past counts as nonsense. Read as "at once", a wrong clock would use up
    all of a job's attempts within seconds.
    """
    if value is None:
        return None
    value = value.strip()
    seconds = float(value) if _NUMBER.fullmatch(value) else _until(value, now=now)
    sound = seconds is not None and math.isfinite(seconds) and seconds >= 0
    return seconds if sound else None


def stated_size(status: int, headers: Mapping[str, str]) -> int | None:
    """Return a file's size in bytes as an answer states it; names are in lower case.

    For a part, Content-Length is the part's size.
    https://www.rfc-editor.org/rfc/rfc9110#section-14.4
    """
    text = headers.get("content-length", "")
    if status != 200:
        text = headers.get("content-range", "").rpartition("/")[2]
    sound = text.isascii() and text.isdecimal() and len(text) <= _LONGEST_SIZE
    return int(text) if sound else None


def _until(value: str, *, now: datetime) -> float | None:
    try:
        date = parsedate_to_datetime(value)
        aware = date if date.tzinfo else date.replace(tzinfo=UTC)
        return (aware - now).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
