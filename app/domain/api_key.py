"""A key that lets a caller use the API."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """What is kept of a key; its secret is known to its owner alone."""

    id: str
    name: str
    project_id: str | None  # None: good for every project
    created_at: datetime
    revoked_at: datetime | None = None
