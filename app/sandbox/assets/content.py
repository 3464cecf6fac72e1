"""The bytes of an asset, made while they are sent: any length costs no memory."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from random import Random

BLOCK = 64 * 1024
STEP = 4099
"""How far the noise is rotated from block to block; odd, so that none repeats soon."""


@dataclass(frozen=True, slots=True)
class Content:
    """Hold a beginning, so many bytes of filling, and an end.

    The filling is zeros, or, with a seed, bytes that differ from block to block: then
    the hash of the whole tells whether every byte came, once and in its place.
    """

    head: bytes
    filling: int = 0
    tail: bytes = b""
    seed: int | None = None

    @property
    def size(self) -> int:
        """Give the length in bytes."""
        return len(self.head) + self.filling + len(self.tail)

    def pieces(self, span: range) -> Iterator[bytes]:
        """Yield these bytes, at most a block at a time."""
        at = span.start
        while at < span.stop:
            piece = self._from(at)[: span.stop - at]
            yield piece
            at += len(piece)

    def sha256(self) -> str:
        """Hash the whole."""
        digest = hashlib.sha256()
        for piece in self.pieces(range(self.size)):
            digest.update(piece)
        return digest.hexdigest()

    def _from(self, at: int) -> bytes:
        filled = at - len(self.head)
        if filled < 0:
            return self.head[at : at + BLOCK]
        if filled >= self.filling:
            return self.tail[filled - self.filling :][:BLOCK]
        number, within = divmod(filled, BLOCK)
        return self._block(number)[within : self.filling - number * BLOCK]

    def _block(self, number: int) -> bytes:
        if self.seed is None:
            return bytes(BLOCK)
        # Number and rotation make each block another one, in its every part.
        start = number * STEP % BLOCK
        return number.to_bytes(8, "big") + _noise(self.seed)[start : start + BLOCK - 8]


@lru_cache(maxsize=64)
def _noise(seed: int) -> bytes:
    return Random(seed).randbytes(BLOCK) * 2
