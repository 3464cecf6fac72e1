"""Tokens for browsers: valid for one project and a short time, and not stored.

A token is encrypted with a key derived from TOKEN_ENCRYPTION_KEYS: every process can
read it, and nobody else can make or change one.
"""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Final

from app.domain.api_key import ApiKey, KeyAccess, check_scope
from app.domain.errors import TokenUnreadable
from app.domain.guarded import Guarded, Hidden
from app.machine.clock import Clock
from app.store.db.vault import Vault

BROWSER_PREFIX: Final = "ttb_"
"""The prefix of every token, so that a leaked one can be recognised."""

LONGEST: Final = timedelta(hours=1)
LONGEST_IN_URL: Final = timedelta(minutes=10)
"""The longest lifetime in a URL, since URLs end up in histories and others' logs."""

_PURPOSE: Final = "browser token"


class BrowserToken(Guarded, frozen=True):
    """A token as the browser gets it."""

    token: Hidden[str]
    expires_at: datetime


class BrowserTokens:
    """Issues tokens and reads them."""

    def __init__(self, vault: Vault, clock: Clock) -> None:
        self._vault = vault.derived(_PURPOSE)
        self._clock = clock

    def issue(
        self, project_id: str, *, issuer: ApiKey, access: KeyAccess, lives: timedelta
    ) -> BrowserToken:
        """Make a token for one project; raises NotFound for another's.

        It expires no later than the key it was made with.
        """
        check_scope(project_id, issuer.project_id)
        now = self._clock.now()
        expires_at = now + min(lives, LONGEST)
        if issuer.expires_at is not None:
            expires_at = min(expires_at, issuer.expires_at)
        values = {
            "project": project_id,
            "access": access,
            "key": [issuer.id, issuer.name],
            "from": now.timestamp(),
            "until": expires_at.timestamp(),
        }
        sealed = self._vault.encrypt(json.dumps(values), bound_to=_PURPOSE)
        return BrowserToken(BROWSER_PREFIX + sealed.rstrip("="), expires_at)

    def read(self, token: str, *, in_url: bool = False) -> ApiKey | None:
        """Return a token's key, None if it is invalid or expired.

        ``in_url`` accepts only tokens made for at most ten minutes.
        """
        if not token.startswith(BROWSER_PREFIX):
            return None
        try:
            sealed = _padded(token.removeprefix(BROWSER_PREFIX))
            text = self._vault.decrypt(sealed, bound_to=_PURPOSE)
        except (TokenUnreadable, UnicodeEncodeError):
            return None
        values = json.loads(text)
        began, ends = (
            datetime.fromtimestamp(values[name], UTC) for name in ("from", "until")
        )
        if ends <= self._clock.now() or (in_url and ends - began > LONGEST_IN_URL):
            return None
        key_id, name = values["key"]
        return ApiKey(
            id=key_id,
            name=name,
            project_id=values["project"],
            created_at=began,
            access=KeyAccess(values["access"]),
            expires_at=ends,
            for_browser=True,
        )


def _padded(sealed: str) -> str:
    """Complete a ciphertext; raises TokenUnreadable for any other spelling of it."""
    head, dot, payload = sealed.rpartition(".")
    padded = payload + "=" * (-len(payload) % 4)
    try:
        one_way = base64.urlsafe_b64encode(base64.urlsafe_b64decode(padded)).decode()
    except ValueError:
        raise TokenUnreadable from None
    if one_way != padded:
        raise TokenUnreadable
    return f"{head}{dot}{padded}"
