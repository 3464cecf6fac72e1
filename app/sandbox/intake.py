"""Take in media without keeping it: its length, its hash, and its first bytes."""

import hashlib
from dataclasses import dataclass, field
from typing import Protocol, Self

HEAD_BYTES = 64 * 1024
"""What is kept of the beginning, to look at the media; the rest is only hashed."""


class Digest(Protocol):
    """Hash bytes as they come."""

    def update(self, data: bytes, /) -> None:
        """Hash some more."""

    def hexdigest(self) -> str:
        """Give the hash so far."""

    def copy(self) -> Self:
        """Branch off, so that what follows can be dropped."""


@dataclass(slots=True)
class Intake:
    """Hold what is left of the bytes that came."""

    count: int = 0
    head: bytes = b""
    digest: Digest = field(default_factory=hashlib.sha256)

    def add(self, piece: bytes) -> None:
        """Take in some more."""
        self.count += len(piece)
        self.digest.update(piece)
        if len(self.head) < HEAD_BYTES:
            self.head += piece[: HEAD_BYTES - len(self.head)]

    def branch(self) -> "Intake":
        """Copy, so that a chunk that does not come whole can be dropped again."""
        return Intake(self.count, self.head, self.digest.copy())

    @property
    def sha256(self) -> str:
        """Give the hash of all that came, in hexadecimal."""
        return self.digest.hexdigest()
