"""Tokens at rest: AES-256-GCM, each ciphertext bound to the cell it belongs to."""

import base64
import binascii
import os
import secrets
import stat
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.domain.errors import TokenUnreadable
from app.store.db.engine import normalise_url

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12  # the size GCM is made for
_FORM: Final = "v1"
_STANDARD: Final = bytes.maketrans(b"-_", b"+/")
_VARIABLE: Final = "TOKEN_ENCRYPTION_KEYS"


class KeysUnusable(ValueError):
    """The encryption keys are missing or malformed; the text names no key."""


class Vault:
    """Encrypts with its first key and decrypts with any.

    A ciphertext reads ``v1.<key id>.<nonce and ciphertext, base64url>``.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Take the keys, newest first; raises KeysUnusable."""
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise KeysUnusable(f"{_VARIABLE}: every key needs {KEY_BYTES} bytes")
        self._keys = tuple(keys)
        self._ciphers = {_key_id(key): AESGCM(key) for key in reversed(keys)}
        self._first = _key_id(keys[0])

    @classmethod
    def from_settings(cls, keys: str | None, *, database_url: str) -> Self:
        """Take a comma list of keys in Fernet's form, url-safe base64.

        Without one, an SQLite database gets a key file beside it. Raises KeysUnusable.
        """
        if keys is not None and keys.strip():
            return cls(_parse(keys, source=_VARIABLE))
        url = normalise_url(database_url)
        if url.get_backend_name() != "sqlite" or url.database is None:
            raise KeysUnusable(f"{_VARIABLE}: needed unless the database is SQLite")
        return cls(_keys_of_file(Path(f"{url.database}.key")))

    def derived(self, purpose: str) -> "Vault":
        """Return a vault with keys derived from these for one purpose."""
        return Vault([_derived(key, purpose) for key in self._keys])

    def encrypt(self, text: str, *, bound_to: str) -> str:
        """Encrypt a text; only the same ``bound_to`` opens it again."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        cipher = self._ciphers[self._first]
        sealed = nonce + cipher.encrypt(nonce, text.encode(), bound_to.encode())
        return f"{_FORM}.{self._first}.{base64.urlsafe_b64encode(sealed).decode()}"

    def decrypt(self, text: str, *, bound_to: str) -> str:
        """Decrypt what ``encrypt`` returned; raises TokenUnreadable."""
        form, _, rest = text.partition(".")
        key_id, _, payload = rest.partition(".")
        cipher = self._ciphers.get(key_id)
        if form != _FORM or cipher is None:
            raise TokenUnreadable
        try:
            sealed = _unwrap(payload)
            nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
            return cipher.decrypt(nonce, ciphertext, bound_to.encode()).decode()
        except (InvalidTag, ValueError):
            # The cause quotes nothing secret, but it says nothing more either.
            raise TokenUnreadable from None

    def is_current(self, text: str) -> bool:
        """Tell whether a ciphertext was made with the first key."""
        return text.startswith(f"{_FORM}.{self._first}.")


def _derived(key: bytes, purpose: str) -> bytes:
    # https://www.rfc-editor.org/rfc/rfc5869
    info = f"tiktok-scheduler {purpose}".encode()
    return HKDF(SHA256(), length=KEY_BYTES, salt=None, info=info).derive(key)


def _unwrap(payload: str) -> bytes:
    # b64decode's own validation is a regular expression, which costs twice as much.
    return binascii.a2b_base64(payload.encode().translate(_STANDARD), strict_mode=True)


def _key_id(key: bytes) -> str:
    # Names the key in each ciphertext; 32 bits of a hash give nothing of it away.
    return sha256(b"tiktok-scheduler key id:" + key).hexdigest()[:8]


def _parse(text: str, *, source: str) -> list[bytes]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise KeysUnusable(f"{source}: holds no key")
    return [_key(part, f"{source}: key {n}") for n, part in enumerate(parts, start=1)]


def _key(text: str, name: str) -> bytes:
    try:
        key = base64.b64decode(text, altchars=b"-_", validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise KeysUnusable(f"{name} is not {KEY_BYTES} bytes in url-safe base64")
    return key


def _keys_of_file(path: Path) -> list[bytes]:
    try:
        text = _read(path)
        if text is None:
            text = _make(path)
        elif _others_may_read(path):
            raise KeysUnusable(
                f"{_VARIABLE}: unset, and others can read {path}; run chmod 600 on it"
            )
    except OSError as error:
        reason = error.strerror or "cannot be read"
        raise KeysUnusable(f"{_VARIABLE}: unset, and {path}: {reason}") from error
    return _parse(text, source=str(path))


def _others_may_read(path: Path) -> bool:
    # A group may: it is how Kubernetes lends a volume to a process (fsGroup).
    return os.name == "posix" and bool(path.stat().st_mode & stat.S_IRWXO)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return None


def _make(path: Path) -> str:
    """Write a new key, or return the one another process wrote a moment ago.

    A link is created completely or not at all, and only if its name is free: no process
    reads half a key, and none replaces a key in use.
    """
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    key = base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode()
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(key + "\n")
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(draft)
        sync_directory(path.parent)
    except FileExistsError:
        return path.read_text(encoding="ascii", errors="replace")
    finally:
        draft.unlink()
    return key


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    # A power cut that lost the key's name would lose every token, too.
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
