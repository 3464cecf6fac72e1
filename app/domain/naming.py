"""What a caller may name things: projects, assets, and posts in their own words."""

import re
from typing import Final

from app.domain.jobs.idempotency import SEPARATOR

MAX_NAME_LENGTH: Final = 200
MAX_EXTERNAL_ID: Final = 255
MAX_METADATA_KEYS: Final = 16
MAX_METADATA_KEY: Final = 64
MAX_METADATA_VALUE: Final = 512

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def camel(name: str) -> str:
    """Return a field's name as callers know it."""
    first, *others = name.split("_")
    return first + "".join(each.capitalize() for each in others)


def problem_with_name(name: str) -> str | None:
    """Say why a caller's own id cannot be taken, None if it can.

    Two different requests could share an idempotency key if a part of it held the
    separator; no database stores NUL or half of a surrogate pair, and no log wants the
    other control characters.
    """
    if not 1 <= len(name) <= MAX_NAME_LENGTH:
        return f"must have 1 to {MAX_NAME_LENGTH} characters"
    if SEPARATOR in name:
        return f"must not contain {SEPARATOR!r}"
    if _CONTROL.search(name):
        return "must not contain control characters"
    return None
