"""A hold: while it lasts, due jobs of a project are not posted."""

from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

WITHOUT_END: Final = datetime(9000, 1, 1, tzinfo=UTC)
"""How long a hold without an end puts a job off."""

MAX_REASON_LENGTH: Final = 500


class Hold(Struct, frozen=True, kw_only=True):
    """Due jobs wait, and why."""

    project_id: str | None  # None: of every project
    reason: str
    until: datetime | None  # None: until it is released
