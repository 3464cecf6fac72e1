"""An upload: which hosts may get bytes, in which chunks, and how far it is. Pure.

https://developers.tiktok.com/doc/content-posting-api-media-transfer-guide
"""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct

from app.domain.guarded import Guarded, Hidden
from app.domain.jobs.job import Job
from app.domain.posts.post import Post

URL_LIFETIME: Final = timedelta(hours=1)
"""How long TikTok accepts bytes at an upload URL."""

URL_MARGIN: Final = timedelta(minutes=15)
"""The margin after which an upload URL is certainly expired.

It covers differing clocks, and a request still running when the hour ended: TikTok
does not say whether it breaks that off.
"""

REPEAT_WINDOW: Final = timedelta(hours=1)
MOST_REPEATS: Final = 3
"""How often in an hour a job may ask for a new upload URL before it has to wait."""

LEAST_CHUNK_BYTES: Final = 5_000_000
MOST_CHUNK_BYTES: Final = 64_000_000
MOST_CHUNKS: Final = 1_000

TIKTOK_UPLOAD_HOSTS: Final = ("*.tiktokapis.com",)
"""TikTok uses one upload host per region.

https://developers.tiktok.com/doc/content-posting-api-media-transfer-guide
"""

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_CHOICES: Final = Post.__struct_fields__


class ChunkSizes(Struct, frozen=True, kw_only=True):
    """The largest video sent in one chunk, and the chunk size of larger ones."""

    whole: int = 64_000_000
    chunk: int = 10_000_000


class Span(Struct, frozen=True):
    """Bytes of a video, from ``start`` up to but without ``end``."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """Return the number of bytes."""
        return self.end - self.start


class ChunkPlan(Struct, frozen=True, kw_only=True):
    """The chunks of one video, as announced in the init."""

    size: int  # of the whole video, in bytes
    chunk_size: int
    count: int

    def span_from(self, offset: int) -> Span:
        """Return the bytes from ``offset`` to the end of its chunk.

        The last chunk includes the remainder. Raises ValueError for an offset outside
        the video.
        """
        if not 0 <= offset < self.size:
            raise ValueError(f"no byte {offset} in {self.size}")
        index = min(offset // self.chunk_size, self.count - 1)
        last = index == self.count - 1
        return Span(offset, self.size if last else (index + 1) * self.chunk_size)

    def ends_with(self, span: Span) -> bool:
        """Tell whether a span has the video's last byte, after which TikTok posts."""
        return span.end == self.size


def plan_chunks(size: int, sizes: ChunkSizes) -> ChunkPlan:
    """Cut a video of ``size`` bytes into chunks; raises ValueError for an empty one."""
    if size < 1:
        raise ValueError("an empty file cannot be uploaded")
    count = 1 if size <= sizes.whole else size // sizes.chunk
    if count <= 1:
        return ChunkPlan(size=size, chunk_size=size, count=1)
    return ChunkPlan(size=size, chunk_size=sizes.chunk, count=count)


def plan_of(size: int, chunk_size: int) -> ChunkPlan:
    """Return the plan that a running upload was announced with, from sizes in bytes."""
    return ChunkPlan(size=size, chunk_size=chunk_size, count=max(1, size // chunk_size))


def is_over_for_certain(issued_at: datetime, *, now: datetime) -> bool:
    """Tell whether an upload URL has certainly expired for everybody."""
    return now - issued_at > URL_LIFETIME + URL_MARGIN


def may_repeat(repeated: tuple[float, ...], *, now: datetime) -> bool:
    """Tell whether a job may ask for another upload URL at once, off the schedule.

    ``repeated`` are the earlier times, in seconds since 1970.
    """
    least = now.timestamp() - REPEAT_WINDOW.total_seconds()
    return sum(moment > least for moment in repeated) < MOST_REPEATS


class Upload(Guarded, frozen=True, kw_only=True):
    """An upload that TikTok has granted and waits for.

    Whoever knows the URL can publish the post by sending what is missing.
    """

    publish_id: str
    url: Hidden[str]
    chunk_size: int  # as announced: settings may change meanwhile
    content_type: str
    subject: str  # what it was requested for, as a digest


def subject_of(job: Job) -> str:
    """Return a digest of what an upload of this job is for.

    An edited caption, audience or address gives another digest: an upload requested
    before the edit must not be finished.
    """
    choices = {name: getattr(job.post, name) for name in _CHOICES}
    told = json.dumps([job.open_id, job.asset_url, choices], sort_keys=True)
    return sha256(told.encode()).hexdigest()


def problem_with_host_rule(rule: str) -> str | None:
    """Return why a rule is not accepted, None if it is.

    A rule is ``host``, which means any port, or ``host:port``; ``*.example.com`` means
    every host below that domain.
    """
    try:
        host, port = _split(rule)
    except ValueError:
        return "must be host or host:port"
    bare = host.removeprefix("*.")
    if not bare or "/" in rule or "@" in rule or "*" in bare:
        return "must be host or host:port, without scheme or path"
    return None if port is None or port > 0 else "has no port 0"


def problem_with_upload_url(
    url: str, rules: Sequence[str], *, allow_http: bool = False
) -> str | None:
    """Return why an upload URL must not be used, None if it may; quotes no token."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return "is no valid URL"
    schemes = {"https", "http"} if allow_http else {"https"}
    if parts.scheme not in schemes or not parts.hostname or port is None:
        return "is no https URL"
    if not _is_plain(url, parts):
        return "is no URL that can be sent as it is"
    if not any(_fits(parts.hostname, port, rule) for rule in rules):
        return f"is on {parts.hostname}:{port}, which UPLOAD_HOSTS does not name"
    return None


def _is_plain(url: str, parts: SplitResult) -> bool:
    odd = "@" in parts.netloc or "\\" in url or " " in url
    return url.isascii() and url.isprintable() and not odd


def _fits(host: str, port: int, rule: str) -> bool:
    wanted, only = _split(rule)
    if only is not None and only != port:
        return False
    if wanted.startswith("*."):
        return host.endswith(wanted[1:]) and len(host) > len(wanted) - 1
    return host == wanted


def _split(rule: str) -> tuple[str, int | None]:
    parts = urlsplit(f"//{rule.strip()}")
    return (parts.hostname or "", parts.port)
