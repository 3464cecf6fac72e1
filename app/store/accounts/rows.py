"""Convert rows of ``accounts`` to domain values; the only place that opens tokens."""

from typing import Any, Final

from msgspec.structs import replace

from app.domain.accounts.account import Account, AccountStatus, Grant
from app.domain.errors import TokenUnreadable
from app.store.db.types import Row
from app.store.db.vault import Vault

UNREADABLE: Final = TokenUnreadable.code
TOKENS: Final = ("access_token", "refresh_token")


class AccountRows:
    """Reads and writes an account's columns; each token is encrypted for its cell."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def read(self, row: Row) -> Account:
        """Read an account.

        One whose tokens no key decrypts has to be connected again.
        """
        try:
            access, refresh = (self._opened(row, column) for column in TOKENS)
        except TokenUnreadable:
            return replace(
                account_from_row(row),
                status=AccountStatus.RECONNECT_REQUIRED,
                reconnect_reason=UNREADABLE,
            )
        return account_from_row(row, access_token=access, refresh_token=refresh)

    def grant(self, project_id: str, platform: str, grant: Grant) -> dict[str, Any]:
        """Return a grant's columns; raises ValueError for an incomplete pair."""
        if not grant.access_token or not grant.refresh_token:
            raise ValueError("an empty token would overwrite a living one")

        def sealed(column: str, token: str) -> str:
            cell = _cell(project_id, platform, column)
            return self._vault.encrypt(token, bound_to=cell)

        return {
            "access_token": sealed("access_token", grant.access_token),
            "refresh_token": sealed("refresh_token", grant.refresh_token),
            "access_token_expires_at": grant.access_token_expires_at,
            "refresh_token_expires_at": grant.refresh_token_expires_at,
            "scopes": ",".join(grant.scopes),
        }

    def resealed(self, row: Row) -> dict[str, str]:
        """Return the tokens encrypted with the first key; empty if they already are.

        Raises TokenUnreadable.
        """
        if all(self._vault.is_current(row[column]) for column in TOKENS):
            return {}
        return {
            column: self._vault.encrypt(
                self._opened(row, column), bound_to=_cell_of(row, column)
            )
            for column in TOKENS
        }

    def _opened(self, row: Row, column: str) -> str:
        return self._vault.decrypt(row[column], bound_to=_cell_of(row, column))


def _cell_of(row: Row, column: str) -> str:
    return _cell(row["project_id"], row["platform"], column)


def _cell(project_id: str, platform: str, column: str) -> str:
    return f"{project_id}|{platform}|{column}"  # ids hold no |


def account_from_row(
    row: Row, *, access_token: str = "", refresh_token: str = ""
) -> Account:
    """Read an account, without its tokens unless they are given."""
    return Account(
        project_id=row["project_id"],
        platform=row["platform"],
        open_id=row["open_id"],
        display_name=row["display_name"],
        username=row["username"],
        status=AccountStatus(row["status"]),
        reconnect_reason=row["reconnect_reason"],
        grant=Grant(
            access_token=access_token,
            refresh_token=refresh_token,
            access_token_expires_at=row["access_token_expires_at"],
            refresh_token_expires_at=row["refresh_token_expires_at"],
            scopes=tuple(scope for scope in row["scopes"].split(",") if scope),
        ),
        grant_version=row["grant_version"],
        connected_at=row["connected_at"],
        updated_at=row["updated_at"],
        verified_at=row["verified_at"],
    )
