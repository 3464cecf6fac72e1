"""The header Retry-After.

https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
"""

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

_NUMBER: Final = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)


def parse_retry_after(value: str | None, *, now: datetime) -> float | None:
    """Return the seconds to wait, from a number or an HTTP date; None for garbage."""
    if value is None:
        return None
    value = value.strip()
    seconds = float(value) if _NUMBER.fullmatch(value) else _until(value, now=now)
    if seconds is None or not math.isfinite(seconds):
        return None
    return max(0.0, seconds)


def _until(value: str, *, now: datetime) -> float | None:
    try:
        date = parsedate_to_datetime(value)
        aware = date if date.tzinfo else date.replace(tzinfo=UTC)
        return (aware - now).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
