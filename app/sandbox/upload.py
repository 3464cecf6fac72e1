"""One upload: how it is cut into chunks, and how far it is.

https://developers.tiktok.com/doc/content-posting-api-media-transfer-guide
"""

import re
import secrets
from dataclasses import dataclass, field

from app.sandbox.intake import Intake
from app.sandbox.settings import SandboxSettings

UPLOAD_PATH = "/video/"
MAX_CHUNKS = 1000
MAX_VIDEO_BYTES = 4_000_000_000
CONTENT_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15})")


@dataclass(frozen=True, slots=True)
class Plan:
    """Cut `size` bytes into `count` chunks; the last one takes the rest."""

    size: int
    chunk_size: int
    count: int

    def index(self, start: int) -> int:
        """Tell which chunk this byte belongs to, counted from 0."""
        return min(start // self.chunk_size, self.count - 1)

    def stop(self, start: int) -> int:
        """Find the end of the chunk that this byte belongs to."""
        index = self.index(start)
        last = index == self.count - 1
        return self.size if last else (index + 1) * self.chunk_size

    def problem(self, limits: SandboxSettings) -> str | None:
        """Say which of TikTok's rules for chunks is broken."""
        size, chunk = self.size, self.chunk_size
        last = size - (self.count - 1) * chunk
        if not 1 <= size <= MAX_VIDEO_BYTES or chunk < 1:
            return "The video size is invalid"
        if self.count != size // chunk or not 1 <= self.count <= MAX_CHUNKS:
            return "The total chunk count is invalid"
        if size < limits.min_chunk_bytes:
            return None if chunk == size else "The chunk size is invalid"
        too_long = chunk > limits.max_chunk_bytes or last > limits.max_last_chunk_bytes
        if chunk < limits.min_chunk_bytes or too_long:
            return "The chunk size is invalid"
        if size > limits.max_chunk_bytes and self.count == 1:
            return "The chunk size is invalid"
        return None


@dataclass(slots=True)
class Upload:
    """Hold how far an upload is; times are epoch seconds."""

    plan: Plan
    expires_at: float
    token: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    taken: Intake = field(default_factory=Intake)

    @property
    def complete(self) -> bool:
        """Tell whether every byte is there."""
        return self.taken.count == self.plan.size

    def take(self, start: int, chunk: Intake) -> bool:
        """Keep a chunk that began at `start`; no if another came in between."""
        if self.taken.count != start:
            return False
        self.taken = chunk
        return True


def span_of(header: str) -> tuple[range, int] | None:
    """Read a Content-Range: the bytes, and the length of the whole."""
    match = CONTENT_RANGE.fullmatch(header)
    if match is None:
        return None
    first, last, total = map(int, match.groups())
    return range(first, last + 1), total
