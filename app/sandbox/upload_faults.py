"""Faults of the upload endpoint alone; `taken` means that the chunk was kept."""

from typing import Literal

from pydantic import Field

from app.sandbox.settings import Camel


class Cut(Camel):
    """Cut the line in the middle of a chunk."""

    kind: Literal["cut"]
    after_bytes: int | None = Field(default=None, ge=0)
    """How much of the chunk is read first; half of it, if nothing is said."""
    keep: bool = False
    """Keep what was read, so that uploaded_bytes lies within the chunk."""
    how: Literal["reset", "close"] = "reset"

    @property
    def taken(self) -> bool:
        """Say no: the chunk as a whole is not taken."""
        return False


class UploadAnswer(Camel):
    """Answer a chunk with any status and Content-Range."""

    kind: Literal["upload_answer"]
    http_status: int = Field(ge=200, le=599)
    content_range: str | None = None
    taken: bool = False


class UploadExpired(Camel):
    """End the upload URL: this chunk and all that come later are answered 403."""

    kind: Literal["upload_expired"]

    @property
    def taken(self) -> bool:
        """Say no: the chunk comes too late."""
        return False


class SlowRead(Camel):
    """Read the chunk so slowly; then go on as usual."""

    kind: Literal["slow_read"]
    bytes_per_second: float = Field(gt=0)
