"""TikTok accounts and the grants they gave: tokens, scopes, authorization codes."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field

ALL_SCOPES = (
    "user.info.basic",
    "user.info.profile",
    "user.info.stats",
    "video.publish",
    "video.upload",
    "video.list",
)
PUBLIC_ACCOUNT_LEVELS = (
    "PUBLIC_TO_EVERYONE",
    "MUTUAL_FOLLOW_FRIENDS",
    "SELF_ONLY",
)
"""What a public account may choose from; a private one has no PUBLIC_TO_EVERYONE."""
PRIVACY_LEVELS = (*PUBLIC_ACCOUNT_LEVELS, "FOLLOWER_OF_CREATOR")

CODE_LIFETIME_SECONDS = 300
DEFAULT_OPEN_ID = "sandbox_user"
SECOND_OPEN_ID = "sandbox_user_2"


@dataclass(frozen=True, slots=True)
class Account:
    """Describe a TikTok user, as creator_info and user/info show them."""

    open_id: str
    display_name: str = "Sandbox User"
    username: str = "sandbox_user"
    privacy_levels: tuple[str, ...] = PUBLIC_ACCOUNT_LEVELS
    comment_disabled: bool = False
    duet_disabled: bool = False
    stitch_disabled: bool = False
    max_video_seconds: int = 600
    scopes: tuple[str, ...] = ALL_SCOPES


@dataclass(slots=True)
class Grant:
    """Hold one token pair; times are epoch seconds."""

    open_id: str
    scopes: tuple[str, ...]
    access_expires_at: float
    refresh_expires_at: float
    access_token: str = field(
        default_factory=lambda: f"act.{secrets.token_hex(24)}", repr=False
    )
    refresh_token: str = field(
        default_factory=lambda: f"rft.{secrets.token_hex(24)}", repr=False
    )

    def retire(self, at: float) -> None:
        """Let both tokens end at that time, if they live so long."""
        self.access_expires_at = min(self.access_expires_at, at)
        self.refresh_expires_at = min(self.refresh_expires_at, at)


@dataclass(frozen=True, slots=True)
class Code:
    """Hold a consent that waits to be exchanged for tokens, once."""

    open_id: str
    scopes: tuple[str, ...]
    redirect_uri: str
    challenge: str | None
    expires_at: float
    value: str = field(
        # TikTok's codes carry characters that arrive percent-encoded.
        default_factory=lambda: f"{secrets.token_urlsafe(24)}*v!4321.s1",
        repr=False,
    )


@dataclass(slots=True)
class Accounts:
    """Keep every account with its newest grant; dead tokens stay known by name."""

    people: dict[str, Account] = field(default_factory=dict)
    current: dict[str, Grant] = field(default_factory=dict)
    by_access: dict[str, Grant] = field(default_factory=dict)
    by_refresh: dict[str, Grant] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Account]:
        """Yield the accounts in the order in which they came."""
        return iter(self.people.values())

    def put(self, account: Account, grant: Grant, *, now: float) -> None:
        """Add or replace an account; the pair it had before dies."""
        self.people[account.open_id] = account
        self.issue(grant, now=now)

    def issue(self, grant: Grant, *, now: float, grace: float = 0) -> None:
        """Make this the account's grant; the former dies after the grace."""
        former = self.current.get(grant.open_id)
        if former is not None:
            former.retire(now + grace)
        self.current[grant.open_id] = grant
        self.by_access[grant.access_token] = grant
        self.by_refresh[grant.refresh_token] = grant

    def revoke(self, open_id: str, *, now: float) -> None:
        """End the account's grant."""
        grant = self.current.pop(open_id, None)
        if grant is not None:
            grant.retire(now)

    def kill_access_token(self, open_id: str, *, now: float) -> None:
        """End the access token alone; the refresh token lives on."""
        grant = self.current.get(open_id)
        if grant is not None:
            grant.access_expires_at = min(grant.access_expires_at, now)

    def bearer(self, access_token: str, *, now: float) -> Grant | None:
        """Find the grant of a living access token."""
        grant = self.by_access.get(access_token)
        return grant if grant and grant.access_expires_at > now else None

    def refreshable(self, refresh_token: str, *, now: float) -> Grant | None:
        """Find the grant of a living refresh token."""
        grant = self.by_refresh.get(refresh_token)
        return grant if grant and grant.refresh_expires_at > now else None

    def owner(self, token: str) -> str | None:
        """Tell whose token or code this is or once was."""
        grant = self.by_access.get(token) or self.by_refresh.get(token)
        code = self.codes.get(token)
        return grant.open_id if grant else code.open_id if code else None
