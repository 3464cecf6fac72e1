"""Accounts as the control routes write and show them."""

from secrets import token_hex

from pydantic import Field

from app.sandbox.accounts import ALL_SCOPES, PUBLIC_ACCOUNT_LEVELS, Account
from app.sandbox.settings import Camel
from app.sandbox.state import Sandbox


class NewAccount(Camel):
    """Describe an account to add or replace; what is left out is made up."""

    open_id: str = Field(default_factory=lambda: f"-000{token_hex(14)}", min_length=1)
    display_name: str = "Sandbox User"
    username: str = "sandbox_user"
    privacy_levels: tuple[str, ...] = PUBLIC_ACCOUNT_LEVELS
    comment_disabled: bool = False
    duet_disabled: bool = False
    stitch_disabled: bool = False
    max_video_seconds: int = Field(default=600, gt=0)
    scopes: tuple[str, ...] = ALL_SCOPES
    access_token: str | None = Field(default=None, min_length=1, repr=False)
    refresh_token: str | None = Field(default=None, min_length=1, repr=False)
    expires_in: int | None = Field(default=None, ge=0)
    refresh_expires_in: int | None = Field(default=None, ge=0)


def add_account(sandbox: Sandbox, new: NewAccount) -> dict[str, object]:
    """Add or replace an account; it is shown with its token pair, this once."""
    account = Account(
        open_id=new.open_id,
        display_name=new.display_name,
        username=new.username,
        privacy_levels=new.privacy_levels,
        comment_disabled=new.comment_disabled,
        duet_disabled=new.duet_disabled,
        stitch_disabled=new.stitch_disabled,
        max_video_seconds=new.max_video_seconds,
        scopes=new.scopes,
    )
    now, grant = sandbox.now(), sandbox.new_grant(new.open_id, new.scopes)
    grant.access_token = new.access_token or grant.access_token
    grant.refresh_token = new.refresh_token or grant.refresh_token
    if new.expires_in is not None:
        grant.access_expires_at = now + new.expires_in
    if new.refresh_expires_in is not None:
        grant.refresh_expires_at = now + new.refresh_expires_in
    sandbox.accounts.put(account, grant, now=now)
    tokens = {
        "accessToken": grant.access_token,
        "refreshToken": grant.refresh_token,
        "expiresIn": round(grant.access_expires_at - now),
        "refreshExpiresIn": round(grant.refresh_expires_at - now),
    }
    return {**account_to_json(sandbox, account), **tokens}


def account_to_json(sandbox: Sandbox, account: Account) -> dict[str, object]:
    """Show an account without its tokens."""
    return {
        "openId": account.open_id,
        "displayName": account.display_name,
        "username": account.username,
        "privacyLevels": account.privacy_levels,
        "commentDisabled": account.comment_disabled,
        "duetDisabled": account.duet_disabled,
        "stitchDisabled": account.stitch_disabled,
        "maxVideoSeconds": account.max_video_seconds,
        "scopes": account.scopes,
        "connected": account.open_id in sandbox.accounts.current,
    }
