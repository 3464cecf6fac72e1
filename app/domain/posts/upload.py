"""How a video is cut into chunks for TikTok's upload, and how far it has got. Pure.

https://developers.tiktok.com/doc/content-posting-api-media-transfer-guide
"""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from app.domain.jobs.job import Job
from app.domain.posts.post import Post

URL_LIFETIME: Final = timedelta(hours=1)
"""How long TikTok takes bytes at an upload URL."""

URL_MARGIN: Final = timedelta(minutes=15)
"""What is added before a URL counts as over for certain.

It covers clocks that differ, and a request that was still running when the hour ended:
TikTok does not say whether it cuts such a one off.
"""

REPEAT_WINDOW: Final = timedelta(hours=1)
MOST_REPEATS: Final = 3
"""How often in an hour one job may ask for a new upload URL before it has to wait."""

LEAST_CHUNK_BYTES: Final = 5_000_000
MOST_CHUNK_BYTES: Final = 64_000_000
MOST_CHUNKS: Final = 1_000

_CHOICES: Final = Post.__struct_fields__


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkSizes:
    """Up to which size a video goes in one piece, and how large the pieces are else."""

    whole: int = 64_000_000
    chunk: int = 10_000_000


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of a video: from ``start`` up to ``end``, which is not among them."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """Return how many bytes these are."""
        return self.end - self.start


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkPlan:
    """The chunks of one video, as an init announces them."""

    size: int  # of the whole video, in bytes
    chunk_size: int
    count: int

    def span_from(self, offset: int) -> Span:
        """Return the bytes from ``offset`` to the end of the chunk that they are in.

        The last chunk takes what division leaves over. Raises ValueError for an offset
        outside the video.
        """
        if not 0 <= offset < self.size:
            raise ValueError(f"no byte {offset} in {self.size}")
        index = min(offset // self.chunk_size, self.count - 1)
        last = index == self.count - 1
        return Span(offset, self.size if last else (index + 1) * self.chunk_size)

    def ends_with(self, span: Span) -> bool:
        """Tell whether a span has the video's last byte: TikTok posts after it."""
        return span.end == self.size


def plan_chunks(size: int, sizes: ChunkSizes) -> ChunkPlan:
    """Cut a video into chunks; raises ValueError for an empty one."""
    if size < 1:
        raise ValueError("an empty file cannot be uploaded")
    count = 1 if size <= sizes.whole else size // sizes.chunk
    if count <= 1:
        return ChunkPlan(size=size, chunk_size=size, count=1)
    return ChunkPlan(size=size, chunk_size=sizes.chunk, count=count)


def plan_of(size: int, chunk_size: int) -> ChunkPlan:
    """Return the plan that an upload under way was announced with."""
    return ChunkPlan(size=size, chunk_size=chunk_size, count=max(1, size // chunk_size))


def is_over_for_certain(issued_at: datetime, *, now: datetime) -> bool:
    """Tell whether no byte can reach an upload URL any more, whoever sends it."""
    return now - issued_at > URL_LIFETIME + URL_MARGIN


def may_repeat(repeated: tuple[float, ...], *, now: datetime) -> bool:
    """Tell whether a job may ask for another upload URL at once, not by the schedule.

    ``repeated`` are the times when it did so before, in seconds since 1970.
    """
    least = now.timestamp() - REPEAT_WINDOW.total_seconds()
    return sum(moment > least for moment in repeated) < MOST_REPEATS


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """An upload that TikTok has been asked for and waits for.

    Whoever knows the URL can publish the post by sending what is missing.
    """

    publish_id: str
    url: str = field(repr=False)
    chunk_size: int  # as announced: settings may change while it goes on
    content_type: str
    subject: str  # digest of what it was asked for


def subject_of(job: Job) -> str:
    """Return a digest of what an upload of this job is for.

    An edited caption, audience or address makes it another one: what was asked for
    before must not be finished any more.
    """
    choices = {name: getattr(job.post, name) for name in _CHOICES}
    told = json.dumps([job.open_id, job.asset_url, choices], sort_keys=True)
    return sha256(told.encode()).hexdigest()
