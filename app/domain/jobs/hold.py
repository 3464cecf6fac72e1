"""A hold: while it lasts, due jobs of a project are not posted."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

WITHOUT_END: Final = datetime(9000, 1, 1, tzinfo=UTC)
"""How long a hold without an end puts a job off."""

MAX_REASON_LENGTH: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Due jobs wait, and why."""

    project_id: str | None  # None: of every project
    reason: str
    until: datetime | None  # None: until it is released
