"""Accounts as the control routes write and show them."""

from collections.abc import Mapping
from secrets import token_hex

from pydantic import Field

from app.sandbox.accounts import ALL_SCOPES, PUBLIC_ACCOUNT_LEVELS, Account
from app.sandbox.settings import Camel
from app.sandbox.state import Sandbox


class Person(Camel):
    """Describe a person as creator_info and user/info show them."""

    display_name: str = "Sandbox User"
    username: str = "sandbox_user"
    privacy_levels: tuple[str, ...] = PUBLIC_ACCOUNT_LEVELS
    comment_disabled: bool = False
    duet_disabled: bool = False
    stitch_disabled: bool = False
    max_video_seconds: int = Field(default=600, gt=0)
    scopes: tuple[str, ...] = ALL_SCOPES
    """What they consent to; tokens that were given before keep their own."""

    def account(self, open_id: str) -> Account:
        """Make the account of this person."""
        return Account(open_id=open_id, **{name: getattr(self, name) for name in SHOWN})


SHOWN = tuple(Person.model_fields)


class NewAccount(Person):
    """Describe an account to add or replace; what is left out is made up."""

    open_id: str = Field(default_factory=lambda: f"-000{token_hex(14)}", min_length=1)
    access_token: str | None = Field(default=None, min_length=1, repr=False)
    refresh_token: str | None = Field(default=None, min_length=1, repr=False)
    expires_in: int | None = Field(default=None, ge=0)
    refresh_expires_in: int | None = Field(default=None, ge=0)


def add_account(sandbox: Sandbox, new: NewAccount) -> dict[str, object]:
    """Add or replace an account; it is shown with its token pair, this once."""
    account = new.account(new.open_id)
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


def change_account(
    sandbox: Sandbox, open_id: str, changes: Mapping[str, object]
) -> dict[str, object]:
    """Lay changes (in camelCase) over an account; its tokens stay as they are."""
    former = _described(sandbox.accounts.people[open_id])
    account = Person.model_validate({**former, **changes}).account(open_id)
    sandbox.accounts.people[open_id] = account
    return account_to_json(sandbox, account)


def account_to_json(sandbox: Sandbox, account: Account) -> dict[str, object]:
    """Show an account without its tokens."""
    return {
        "openId": account.open_id,
        **_described(account),
        "connected": account.open_id in sandbox.accounts.current,
    }


def _described(account: Account) -> dict[str, object]:
    person = Person.model_validate({name: getattr(account, name) for name in SHOWN})
    return person.model_dump(by_alias=True)
