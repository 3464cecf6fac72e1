"""A project's TikTok account and the grant that lets us post to it."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Self

from msgspec import Struct

from app.domain.guarded import Guarded, Hidden

PLATFORM: Final = "tiktok"
"""The one platform that there is."""

# No refresh adds a missing scope, but the token still works for the other scopes.
SCOPE_REASONS: Final = frozenset({"scope_not_authorized", "scope_permission_missed"})


class RemovalReason(StrEnum):
    """Why TikTok removed our access to an account.

    https://developers.tiktok.com/doc/webhooks-events
    """

    UNKNOWN = "auth_removed"
    BY_PERSON = "removed_by_person"
    DELETED = "account_deleted"
    AGE = "age_changed"
    BANNED = "account_banned"
    BY_DEVELOPER = "revoked_by_developer"


REMOVALS: Final = frozenset(RemovalReason)


class AccountStatus(StrEnum):
    """Whether the account can be posted to."""

    ACTIVE = "active"
    RECONNECT_REQUIRED = "reconnect_required"


class TokenPair(Guarded, frozen=True, kw_only=True):
    """Tokens as they are issued: with lifetimes, in seconds."""

    access_token: Hidden[str]
    refresh_token: Hidden[str]
    expires_in: int
    refresh_expires_in: int
    scopes: tuple[str, ...] = ()


class Grant(Guarded, frozen=True, kw_only=True):
    """The token pair of an account; TikTok rotates both at each refresh."""

    access_token: Hidden[str]
    refresh_token: Hidden[str]
    access_token_expires_at: datetime
    refresh_token_expires_at: datetime
    scopes: tuple[str, ...]

    @property
    def ends_at(self) -> datetime:
        """Return the last moment at which TikTok takes one of the two."""
        return max(self.access_token_expires_at, self.refresh_token_expires_at)

    @classmethod
    def issued(
        cls, pair: "TokenPair", *, at: datetime, scopes: tuple[str, ...] = ()
    ) -> Self:
        """Return the grant of a pair; ``scopes`` apply if the pair names none."""
        return cls(
            access_token=pair.access_token,
            refresh_token=pair.refresh_token,
            access_token_expires_at=at + timedelta(seconds=pair.expires_in),
            refresh_token_expires_at=at + timedelta(seconds=pair.refresh_expires_in),
            scopes=pair.scopes or scopes,
        )


class Account(Struct, frozen=True, kw_only=True):
    """One TikTok account per project and platform."""

    project_id: str
    platform: str
    open_id: str
    display_name: str | None
    username: str | None
    status: AccountStatus
    reconnect_reason: str | None  # TikTok's code, or ours
    grant: Grant
    grant_version: int  # rises with every new pair, so that two refreshes cannot cross
    connected_at: datetime
    updated_at: datetime
    verified_at: datetime | None = None  # None: a caller claimed its openId

    @property
    def quota_owner(self) -> str:
        """Return the key that TikTok's limits are counted under.

        Projects that only claim an openId do not share its quota: one could use up the
        other's permits. No openId contains a space.
        """
        if self.verified_at is not None:
            return self.open_id
        return f"{self.open_id} {self.project_id}"

    @property
    def usable(self) -> bool:
        """Tell whether the grant can still be used, at least for some of its scopes."""
        active = self.status is AccountStatus.ACTIVE
        return active or self.reconnect_reason in SCOPE_REASONS


class NewAccount(Struct, frozen=True, kw_only=True):
    """The account from a person's consent; it replaces the one before."""

    project_id: str
    platform: str
    open_id: str
    grant: Grant
    display_name: str | None = None  # None keeps the same person's known name
    username: str | None = None  # likewise
    is_verified: bool = False  # TikTok itself named the owner of the tokens


class CreatorInfo(Struct, frozen=True, kw_only=True, gc=False):
    """The creator's current options for a direct post.

    https://developers.tiktok.com/doc/content-posting-api-reference-query-creator-info
    """

    username: str
    nickname: str
    avatar_url: str  # valid for two hours
    privacy_options: tuple[str, ...]
    comment_disabled: bool = False
    duet_disabled: bool = False
    stitch_disabled: bool = False
    max_video_seconds: int | None = None
    said_at: datetime | None = None  # by TikTok's clock, in whole seconds
