"""A project's TikTok account and the grant that lets us post to it."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class AccountStatus(StrEnum):
    """Whether the account can be posted to."""

    ACTIVE = "active"
    RECONNECT_REQUIRED = "reconnect_required"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The token pair of an account; TikTok rotates both at each refresh."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    access_token_expires_at: datetime
    refresh_token_expires_at: datetime
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One TikTok account per project and platform."""

    project_id: str
    platform: str
    open_id: str
    display_name: str | None
    username: str | None
    status: AccountStatus
    reconnect_reason: str | None  # TikTok's code, or ours
    grant: Grant
    grant_version: int  # rises with every new pair: two refreshes cannot cross
    connected_at: datetime
    updated_at: datetime
