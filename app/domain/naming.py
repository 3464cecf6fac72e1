"""Rules for names that callers give: projects, assets, external ids, metadata."""

import re
from typing import Final

from app.domain.jobs.idempotency_keys import SEPARATOR

MAX_NAME_LENGTH: Final = 200
MAX_EXTERNAL_ID: Final = 255
MAX_METADATA_KEYS: Final = 16
MAX_METADATA_KEY: Final = 64
MAX_METADATA_VALUE: Final = 512

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def camel(name: str) -> str:
    """Return a field's name in camel case, as in JSON."""
    first, *others = name.split("_")
    return first + "".join(each.capitalize() for each in others)


def problem_with_name(name: str) -> str | None:
    """Return why a caller's own id is not accepted, None if it is.

    If an id held the separator, two different requests could share an idempotency key.
    No database stores NUL or half of a surrogate pair; other control characters have no
    place in a log.
    """
    if not 1 <= len(name) <= MAX_NAME_LENGTH:
        return f"must have 1 to {MAX_NAME_LENGTH} characters"
    if SEPARATOR in name:
        return f"must not contain {SEPARATOR!r}"
    if _CONTROL.search(name):
        return "must not contain control characters"
    return None
