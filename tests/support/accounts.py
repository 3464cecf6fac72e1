"""Accounts and grants for tests: only what the state needs."""

from datetime import UTC, datetime, timedelta

from app.domain.accounts.account import Grant, NewAccount
from app.store.db.vault import Vault

NOW = datetime(2026, 4, 9, 12, 0, tzinfo=UTC)
KEY = b"k" * 32
VAULT = Vault([KEY])
PROJECT = "proj_1"
NAME = PROJECT, "tiktok"


def new_grant(
    token: str = "one",
    *,
    now: datetime = NOW,
    lives: timedelta = timedelta(hours=2),
    scopes: tuple[str, ...] = ("user.info.basic", "video.publish"),
) -> Grant:
    """Make a token pair whose tokens contain one word."""
    return Grant(
        access_token=f"act.{token}",
        refresh_token=f"rft.{token}",
        access_token_expires_at=now + lives,
        refresh_token_expires_at=now + timedelta(days=180),
        scopes=scopes,
    )


def new_account(
    grant: Grant | None = None,
    *,
    project_id: str = PROJECT,
    open_id: str = "open_1",
    display_name: str | None = None,
    username: str | None = None,
) -> NewAccount:
    """Make the account that a sign-in stores."""
    return NewAccount(
        project_id=project_id,
        platform="tiktok",
        open_id=open_id,
        grant=grant or new_grant(),
        display_name=display_name,
        username=username,
    )
