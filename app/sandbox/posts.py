"""Posts that TikTok took, and how far each of them is."""

import asyncio
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from app.sandbox.faults import Processing, WebhookFault
from app.sandbox.upload import Upload


class Mode(StrEnum):
    """Tell a direct post from a draft for the inbox."""

    DIRECT = "direct"
    INBOX = "inbox"


class Media(StrEnum):
    """Tell a video from a set of photos."""

    VIDEO = "video"
    PHOTO = "photo"


class PostStatus(StrEnum):
    """Name the states that status/fetch shows.

    https://developers.tiktok.com/doc/content-posting-api-reference-get-video-status
    """

    PROCESSING_UPLOAD = "PROCESSING_UPLOAD"
    PROCESSING_DOWNLOAD = "PROCESSING_DOWNLOAD"
    SEND_TO_USER_INBOX = "SEND_TO_USER_INBOX"
    PUBLISH_COMPLETE = "PUBLISH_COMPLETE"
    FAILED = "FAILED"


IN_PROGRESS = (PostStatus.PROCESSING_UPLOAD, PostStatus.PROCESSING_DOWNLOAD)


@dataclass(frozen=True, slots=True)
class Photo:
    """Hold one photo that was pulled."""

    url: str
    bytes: int
    sha256: str

    def to_json(self) -> dict[str, object]:
        """Give the photo as the control route shows it."""
        return {"url": self.url, "bytes": self.bytes, "sha256": self.sha256}


@dataclass(slots=True)
class Post:
    """Hold one post; times are epoch seconds."""

    publish_id: str
    open_id: str
    mode: Mode
    video_url: str | None
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
    media: Media = Media.VIDEO
    description: str | None = None
    photo_urls: tuple[str, ...] = ()
    photos: tuple[Photo, ...] = ()
    upload: Upload | None = None
    sha256: str | None = None
    pulled_at: float | None = None
    more_post_ids: tuple[int, ...] = ()
    """Ids beside the first: a draft may be published several times."""
    withheld: frozenset[int] = frozenset()
    """Ids that a status call does not tell."""
    withdrawn: bool = False
    task: "asyncio.Task[None] | None" = field(default=None, repr=False, compare=False)

    @property
    def in_progress(self) -> bool:
        """Tell whether TikTok is still at work on it."""
        return self.status in IN_PROGRESS

    @property
    def downloading(self) -> bool:
        """Tell whether TikTok still pulls its media."""
        pulls = self.status is PostStatus.PROCESSING_DOWNLOAD and self.upload is None
        return pulls and self.pulled_at is None

    @property
    def public(self) -> bool:
        """Tell whether everyone may see it, so that it gets a public id."""
        return self.privacy_level == "PUBLIC_TO_EVERYONE"

    @property
    def post_ids(self) -> tuple[int, ...]:
        """List the ids of what became of it, oldest first."""
        first = () if self.post_id is None else (self.post_id,)
        return (*first, *self.more_post_ids)

    def add_ids(self, ids: tuple[int, ...], *, withheld: bool = False) -> None:
        """Give it further ids; withheld ones are not told by status calls."""
        if withheld:
            self.withheld |= frozenset(ids)
        if self.post_id is None and ids:
            self.post_id, ids = ids[0], ids[1:]
        self.more_post_ids += ids

    def to_json(self) -> dict[str, object]:
        """Give the post as the control route shows it; ids are strings here."""
        return {
            "publishId": self.publish_id,
            "openId": self.open_id,
            "mode": self.mode,
            "media": self.media,
            "transfer": "push" if self.upload else "pull",
            "title": self.title,
            "description": self.description,
            "videoUrl": self.video_url,
            "photoUrls": list(self.photo_urls),
            "photos": [photo.to_json() for photo in self.photos],
            "privacyLevel": self.privacy_level,
            "status": self.status,
            "failReason": self.fail_reason,
            "postId": None if self.post_id is None else str(self.post_id),
            "postIds": [str(number) for number in self.post_ids],
            "withdrawn": self.withdrawn,
            "takenAt": self.taken_at,
            "publishedAt": self.published_at,
            "bytesPulled": self.bytes_pulled,
            "uploadSize": self.upload.plan.size if self.upload else None,
            "uploadedBytes": self.upload.taken.count if self.upload else None,
            "uploadExpiresAt": self.upload.expires_at if self.upload else None,
            "sha256": self.sha256,
        }


@dataclass(slots=True)
class Posts:
    """Keep every post, in all and by account."""

    by_id: dict[str, Post] = field(default_factory=dict)
    by_account: dict[str, list[Post]] = field(default_factory=dict)
    by_upload: dict[str, Post] = field(default_factory=dict)
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
        if post.upload is not None:
            self.by_upload[upload_id_of(post)] = post

    def uploading(self, upload_id: str, token: str) -> Post | None:
        """Find the post that an upload URL belongs to."""
        post = self.by_upload.get(upload_id)
        if post is None or post.upload is None:
            return None
        known = secrets.compare_digest(post.upload.token.encode(), token.encode())
        return post if known else None

    def new_publish_id(self, prefix: str, *, now: float) -> str:
        """Make a publish_id in TikTok's form, such as v_pub_url~v2.N."""
        return f"{prefix}.{self.new_number(now)}"

    def new_number(self, now: float) -> int:
        """Make a number of 19 digits, which no JavaScript number can hold.

        The seconds are in its upper half, as in TikTok's own ids, so that numbers of
        a later run of the simulator never meet those of an earlier one.
        """
        self.last_number += 1
        return (int(now) << 32) | (self.last_number & 0xFFFFFFFF)


def upload_id_of(post: Post) -> str:
    """Give the number that an upload URL names."""
    return post.publish_id.rpartition(".")[2]
