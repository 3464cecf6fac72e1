"""A key that lets a caller use the API, and what it is limited to."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from app.domain.errors import NotFound


class KeyAccess(StrEnum):
    """What a caller may do."""

    READ = "read"
    COMPOSE = "compose"  # for browsers: read, and schedule jobs
    WRITE = "write"


class ApiKey(Struct, frozen=True, kw_only=True):
    """A key without its secret, which only its owner knows."""

    id: str
    name: str
    project_id: str | None  # None: good for every project
    created_at: datetime
    revoked_at: datetime | None = None
    access: KeyAccess = KeyAccess.WRITE
    expires_at: datetime | None = None  # None: never
    last_used_at: datetime | None = None  # to the minute
    for_browser: bool = False  # a browser token of the key with this id

    def has_expired(self, now: datetime) -> bool:
        """Tell whether the key has expired."""
        return self.expires_at is not None and self.expires_at <= now


class Actor(Struct, frozen=True):
    """Who did it: an API key."""

    key_id: str
    key_name: str


def check_scope(project_id: str, scope: str | None) -> None:
    """Raise NotFound for another's project, as if it did not exist."""
    if scope is not None and project_id != scope:
        raise NotFound
