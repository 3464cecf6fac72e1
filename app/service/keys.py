"""API keys: create, list, revoke, authenticate."""

from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from secrets import token_urlsafe
from typing import Final

from msgspec import field

from app.domain.api_key import ApiKey, KeyAccess
from app.domain.errors import FieldError, InvalidInput, NotFound
from app.domain.guarded import Guarded, Hidden
from app.domain.naming import MAX_NAME_LENGTH, problem_with_name
from app.machine.clock import Clock
from app.store.api_keys import KeyStore

KEY_PREFIX: Final = "tts_"
"""The prefix of every secret, so that a leaked one can be recognised."""

TRUST: Final = timedelta(seconds=5)
"""How long a key is trusted without asking the database again."""

USE_IS_NOTED_EVERY: Final = timedelta(minutes=1)

_MAX_TRUSTED: Final = 10_000
_CHECKSUM: Final = 6
_LENGTH: Final = len(KEY_PREFIX) + 43 + _CHECKSUM


def make_secret() -> str:
    """Return 256 random bits in url-safe characters, with a checksum."""
    body = KEY_PREFIX + token_urlsafe(32)
    return body + _checksum(body)


def is_mistyped(secret: str) -> bool:
    """Tell whether a secret's checksum is wrong, without asking the database.

    Keys made before checksums existed are shorter.
    """
    body, checksum = secret[:-_CHECKSUM], secret[-_CHECKSUM:]
    return len(secret) >= _LENGTH and checksum != _checksum(body)


class KeyService(Guarded, frozen=True, kw_only=True):
    """The keys that callers authenticate with; a secret is shown once."""

    store: KeyStore
    clock: Clock
    make_secret: Callable[[], str] = make_secret
    _trusted: Hidden[dict[str, tuple[ApiKey, datetime]]] = field(default_factory=dict)
    _noted: dict[str, datetime] = field(default_factory=dict)
    """When each key's use was last written."""

    async def create(
        self,
        name: str,
        project_id: str | None,
        *,
        access: KeyAccess = KeyAccess.WRITE,
        expires_in: timedelta | None = None,
    ) -> tuple[ApiKey, str]:
        """Make a key and return it with its secret, which is not stored.

        Raises InvalidInput.
        """
        _check(name, project_id)
        secret, now = self.make_secret(), self.clock.now()
        key = await self.store.add(
            name=name,
            project_id=project_id,
            secret_sha256=_digest(secret),
            now=now,
            access=access,
            expires_at=None if expires_in is None else now + expires_in,
        )
        return key, secret

    async def list(self) -> tuple[ApiKey, ...]:
        """Return every key, oldest first, revoked ones too."""
        return await self.store.list()

    async def revoke(self, key_id: str) -> ApiKey:
        """Revoke a key; all processes know within ``TRUST``. Raises NotFound."""
        if not key_id.isascii():  # what is no UTF-8, no database takes
            raise NotFound("no key has this id")
        key = await self.store.revoke(key_id, now=self.clock.now())
        self._trusted.clear()
        return key

    async def authenticate(self, secret: str) -> ApiKey | None:
        """Return a secret's key, None if unknown, revoked or expired."""
        if not (secret.isascii() and secret.startswith(KEY_PREFIX)):
            return None
        digest, now = _digest(secret), self.clock.now()
        if (trusted := self._trusted.get(digest)) is not None and now < trusted[1]:
            return None if trusted[0].has_expired(now) else trusted[0]
        self._trusted.pop(digest, None)
        if is_mistyped(secret):
            return None
        key = await self.store.find(digest)
        if key is None or key.has_expired(now):
            return None
        self._trust(digest, key, until=now + TRUST)
        self._note_use(key, now)
        return key

    def _note_use(self, key: ApiKey, now: datetime) -> None:
        noted = self._noted.get(key.id, key.last_used_at)
        if noted is None or now - noted >= USE_IS_NOTED_EVERY:
            self._noted[key.id] = now
            self.store.note_use(key.id, now=now)

    def _trust(self, digest: str, key: ApiKey, *, until: datetime) -> None:
        if len(self._trusted) >= _MAX_TRUSTED:
            self._trusted.clear()
        self._trusted[digest] = (key, until)


def _checksum(body: str) -> str:
    return sha256(body.encode()).hexdigest()[:_CHECKSUM]


def _digest(secret: str) -> str:
    # 256 random bits cannot be guessed: neither salt nor a slow hash would help.
    return sha256(secret.encode()).hexdigest()


def _check(name: str, project_id: str | None) -> None:
    if len(name) > MAX_NAME_LENGTH or not name.isprintable():
        message = f"must be printable and have at most {MAX_NAME_LENGTH} characters"
        raise InvalidInput(FieldError("/name", message))
    if project_id is not None and (problem := problem_with_name(project_id)):
        raise InvalidInput(FieldError("/projectId", problem))
