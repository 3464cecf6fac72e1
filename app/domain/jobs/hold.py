"""A hold: until somebody says otherwise, a project's due jobs do not go out."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

WITHOUT_END: Final = datetime(9000, 1, 1, tzinfo=UTC)
"""How long a job is put off by a hold that names no time."""

MAX_REASON_LENGTH: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """That due jobs wait, and why."""

    project_id: str | None  # None: of every project
    reason: str
    until: datetime | None  # None: until it is taken away
