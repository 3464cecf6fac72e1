"""API keys: make, show, revoke, recognise."""

from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from secrets import token_urlsafe
from typing import Final

from app.domain.api_key import ApiKey
from app.domain.clock import Clock
from app.domain.errors import FieldError, InvalidInput
from app.domain.naming import MAX_NAME_LENGTH, problem_with_name
from app.store.api_keys import KeyStore

PREFIX: Final = "tts_"
"""What every secret starts with, so that a leaked one can be recognised."""

TRUST: Final = timedelta(seconds=5)
"""How long a key is taken as good without asking the database again."""

_MAX_TRUSTED: Final = 10_000


def make_secret() -> str:
    """Return 256 random bits in url-safe characters."""
    return PREFIX + token_urlsafe(32)


class KeyService:
    """The keys that callers prove themselves with; a secret is shown once."""

    def __init__(
        self,
        *,
        store: KeyStore,
        clock: Clock,
        make_secret: Callable[[], str] = make_secret,
    ) -> None:
        self._store = store
        self._clock = clock
        self._make_secret = make_secret
        self._trusted: dict[str, tuple[ApiKey, datetime]] = {}

    async def create(self, name: str, project_id: str | None) -> tuple[ApiKey, str]:
        """Make a key and return it with its secret, which is kept nowhere.

        Raises InvalidInput.
        """
        _check(name, project_id)
        secret = self._make_secret()
        key = await self._store.add(
            name=name,
            project_id=project_id,
            secret_sha256=_digest(secret),
            now=self._clock.now(),
        )
        return key, secret

    async def list(self) -> tuple[ApiKey, ...]:
        """Return every key, oldest first, revoked ones too."""
        return await self._store.list()

    async def revoke(self, key_id: str) -> ApiKey:
        """Make a key worthless, everywhere within ``TRUST``; raises NotFound."""
        key = await self._store.revoke(key_id, now=self._clock.now())
        self._trusted.clear()
        return key

    async def authenticate(self, secret: str) -> ApiKey | None:
        """Return the key that a secret belongs to, None if there is none."""
        if not (secret.isascii() and secret.startswith(PREFIX)):
            return None
        digest, now = _digest(secret), self._clock.now()
        if (trusted := self._trusted.get(digest)) is not None and now < trusted[1]:
            return trusted[0]
        self._trusted.pop(digest, None)
        key = await self._store.find(digest)
        if key is not None:
            self._trust(digest, key, until=now + TRUST)
        return key

    def _trust(self, digest: str, key: ApiKey, *, until: datetime) -> None:
        if len(self._trusted) >= _MAX_TRUSTED:
            self._trusted.clear()
        self._trusted[digest] = (key, until)


def _digest(secret: str) -> str:
    # 256 random bits cannot be guessed, so neither salt nor a slow hash adds anything.
    return sha256(secret.encode()).hexdigest()


def _check(name: str, project_id: str | None) -> None:
    if len(name) > MAX_NAME_LENGTH or not name.isprintable():
        message = f"must be printable and have at most {MAX_NAME_LENGTH} characters"
        raise InvalidInput(FieldError("/name", message))
    if project_id is not None and (problem := problem_with_name(project_id)):
        raise InvalidInput(FieldError("/projectId", problem))
