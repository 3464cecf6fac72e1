"""Accounts in requests and answers; answers never hold tokens."""

import re
from typing import Annotated, Final, Self

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema

from app.domain.accounts.account import Account, AccountStatus, CreatorInfo
from app.domain.jobs.job import WaitingFor
from app.schemas.fields import Answer, Request, Timestamp
from app.service.accounts.accounts import GivenAccount, PutAccount

_TEN_YEARS: Final = 10 * 365 * 24 * 3600
_MAX_SCOPES: Final = 100
_SCOPE: Final = re.compile(r"[A-Za-z0-9._]{1,100}", re.ASCII)


def _scope_names(value: object) -> object:
    """Split scopes, which TikTok separates with commas and others with spaces."""
    if isinstance(value, str):
        value = value.replace(",", " ").split()
    if not isinstance(value, list):
        return value
    if len(value) > _MAX_SCOPES or not all(map(_is_scope, value)):
        raise ValueError("must be scopes of TikTok's, such as video.publish")
    return tuple(dict.fromkeys(value))


def _is_scope(value: object) -> bool:
    return isinstance(value, str) and _SCOPE.fullmatch(value) is not None


# Visible ASCII, since it goes into headers: a line break could add another header.
Token = Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[!-~]+$")]
OpenId = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[!-~]+$")]
Lifetime = Annotated[int, Field(ge=1, le=_TEN_YEARS)]
Scopes = Annotated[
    tuple[str, ...],
    BeforeValidator(_scope_names),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^([A-Za-z0-9._]{1,100}[, ]*){0,50}$"},
                {
                    "type": "array",
                    "maxItems": _MAX_SCOPES,
                    "items": {"type": "string", "pattern": r"^[A-Za-z0-9._]{1,100}$"},
                },
            ]
        }
    ),
]


class AccountRequest(Request):
    """A grant that was obtained elsewhere, with TikTok's field names."""

    open_id: OpenId
    access_token: Token = Field(repr=False)
    refresh_token: Token = Field(repr=False)
    expires_in: Lifetime = Field(description="Seconds the access token lives")
    refresh_expires_in: Lifetime = Field(description="Seconds the refresh token lives")
    scope: Scopes = Field(description="A comma or space list, or an array")

    def to_domain(self, project_id: str, platform: str) -> GivenAccount:
        """Return the account as a domain value."""
        return GivenAccount(
            project_id=project_id,
            platform=platform,
            open_id=self.open_id,
            access_token=self.access_token,
            refresh_token=self.refresh_token,
            expires_in=self.expires_in,
            refresh_expires_in=self.refresh_expires_in,
            scopes=self.scope,
        )


class AccountAnswer(Answer):
    """An account, without its tokens."""

    project_id: str
    platform: str
    open_id: str
    display_name: str | None
    username: str | None = Field(description="null if the scopes do not cover it")
    scopes: list[str]
    status: AccountStatus
    reconnect_reason: str | None = Field(
        description="TikTok's own code if it has one, or why it removed our access"
    )
    access_token_expires_at: Timestamp
    refresh_token_expires_at: Timestamp
    connected_at: Timestamp

    @classmethod
    def of(cls, account: Account) -> Self:
        """Show an account."""
        return cls(
            project_id=account.project_id,
            platform=account.platform,
            open_id=account.open_id,
            display_name=account.display_name,
            username=account.username,
            scopes=list(account.grant.scopes),
            status=account.status,
            reconnect_reason=account.reconnect_reason,
            access_token_expires_at=account.grant.access_token_expires_at,
            refresh_token_expires_at=account.grant.refresh_token_expires_at,
            connected_at=account.connected_at,
        )


class AccountsAnswer(Answer):
    """A page of accounts."""

    items: list[AccountAnswer]
    next_cursor: str | None


class AccountsQuery(Request):
    """Which accounts a list shows, and which page of them."""

    # In a query every value is text.
    model_config = ConfigDict(strict=False)

    status: AccountStatus | None = None
    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, description="nextCursor of the page before")


class QuotaAnswer(Answer):
    """What an account used of TikTok's limits through this service."""

    posted_last_24h: int = Field(alias="postedLast24h")
    drafts_last_24h: int = Field(alias="draftsLast24h")
    rests_until: Timestamp | None = Field(
        description="TikTok said that a daily cap is reached: no post begins until then"
    )
    reason: WaitingFor | None = Field(
        description="account_cap: the account's; app_cap: the whole app's"
    )
    inits_left_this_minute: int = Field(description="Posts that may begin at once")


class PutAccountAnswer(AccountAnswer):
    """An account that was just stored."""

    account_changed: bool = Field(description="Another person was connected before")

    @classmethod
    def of_put(cls, put: PutAccount) -> Self:
        """Show an account, and whether it is another person's."""
        shown = AccountAnswer.of(put.account).model_dump()
        return cls(**shown, account_changed=put.changed)


class CreatorInfoAnswer(Answer):
    """The choices to offer on a compose page, in TikTok's words."""

    creator_username: str
    creator_nickname: str
    creator_avatar_url: str = Field(description="Valid for two hours")
    privacy_level_options: list[str] = Field(
        description="Offer exactly these; none may be preselected"
    )
    comment_disabled: bool
    duet_disabled: bool
    stitch_disabled: bool
    max_video_post_duration_sec: int | None

    @classmethod
    def of(cls, info: CreatorInfo) -> Self:
        """Show what a creator may choose."""
        return cls(
            creator_username=info.username,
            creator_nickname=info.nickname,
            creator_avatar_url=info.avatar_url,
            privacy_level_options=list(info.privacy_options),
            comment_disabled=info.comment_disabled,
            duet_disabled=info.duet_disabled,
            stitch_disabled=info.stitch_disabled,
            max_video_post_duration_sec=info.max_video_seconds,
        )
