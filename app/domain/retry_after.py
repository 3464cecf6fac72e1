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


def _until(value: str, *, now: datetime) -> float | None:
    try:
        date = parsedate_to_datetime(value)
        aware = date if date.tzinfo else date.replace(tzinfo=UTC)
        return (aware - now).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
