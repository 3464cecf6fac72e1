"""Posts that TikTok took, and how far each of them is."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from app.sandbox.faults import Processing, WebhookFault


class Mode(StrEnum):
    """Tell a direct post from a draft for the inbox."""

    DIRECT = "direct"
    INBOX = "inbox"


class PostStatus(StrEnum):
    """Name the states that status/fetch shows.

    https://developers.tiktok.com/doc/content-posting-api-reference-get-video-status
    """

    PROCESSING_DOWNLOAD = "PROCESSING_DOWNLOAD"
    SEND_TO_USER_INBOX = "SEND_TO_USER_INBOX"
    PUBLISH_COMPLETE = "PUBLISH_COMPLETE"
    FAILED = "FAILED"


@dataclass(slots=True)
class Post:
    """Hold one post; times are epoch seconds."""

    publish_id: str
    open_id: str
    mode: Mode
    video_url: str
    taken_at: float
    title: str | None = None
    privacy_level: str | None = None
    status: PostStatus = PostStatus.PROCESSING_DOWNLOAD
    fail_reason: str | None = None
    post_id: int | None = None
    published_at: float | None = None
    bytes_pulled: int = 0
    processing: Processing | None = None
    webhooks: WebhookFault | None = None

    @property
    def in_progress(self) -> bool:
        """Tell whether TikTok is still at work on it."""
        return self.status is PostStatus.PROCESSING_DOWNLOAD

    @property
    def public(self) -> bool:
        """Tell whether everyone may see it, so that it gets a public id."""
        return self.privacy_level == "PUBLIC_TO_EVERYONE"

    def to_json(self) -> dict[str, object]:
        """Give the post as the control route shows it; ids are strings here."""
        return {
            "publishId": self.publish_id,
            "openId": self.open_id,
            "mode": self.mode,
            "title": self.title,
            "videoUrl": self.video_url,
            "privacyLevel": self.privacy_level,
            "status": self.status,
            "failReason": self.fail_reason,
            "postId": None if self.post_id is None else str(self.post_id),
            "takenAt": self.taken_at,
            "publishedAt": self.published_at,
            "bytesPulled": self.bytes_pulled,
        }


@dataclass(slots=True)
class Posts:
    """Keep every post, in all and by account."""

    by_id: dict[str, Post] = field(default_factory=dict)
    by_account: dict[str, list[Post]] = field(default_factory=dict)
    last_number: int = field(default_factory=lambda: secrets.randbits(31))

    def __iter__(self) -> Iterator[Post]:
        """Yield the posts in the order in which they were taken."""
        return iter(self.by_id.values())

    def get(self, publish_id: str | None) -> Post | None:
        """Find a post by its publish_id."""
        return self.by_id.get(publish_id) if publish_id is not None else None

    def of(self, open_id: str) -> list[Post]:
        """List one account's posts, oldest first."""
        return self.by_account.get(open_id, [])

    def add(self, post: Post) -> None:
        """Take a post."""
        self.by_id[post.publish_id] = post
        self.by_account.setdefault(post.open_id, []).append(post)

    def new_publish_id(self, mode: Mode, *, now: float) -> str:
        """Make a publish_id in TikTok's form for videos pulled from a URL."""
        prefix = "v_pub_url" if mode is Mode.DIRECT else "v_inbox_url"
        return f"{prefix}~v2.{self.new_number(now)}"

    def new_number(self, now: float) -> int:
        """Make a number of 19 digits, which no JavaScript number can hold.

        The seconds are in its upper half, as in TikTok's own ids, so that numbers of
        a later run of the simulator never meet those of an earlier one.
        """
        self.last_number += 1
        return (int(now) << 32) | (self.last_number & 0xFFFFFFFF)
