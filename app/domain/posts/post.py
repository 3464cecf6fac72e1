"""What the person chose for their post: values and TikTok's limits on them."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final

from msgspec import Struct

from app.domain.errors import FieldError
from app.domain.naming import camel

MAX_TITLE_UNITS: Final = 2200
"""Longest caption of a video, in UTF-16 code units, not characters.

https://developers.tiktok.com/doc/content-posting-api-reference-direct-post
"""

MAX_PHOTO_TITLE_UNITS: Final = 90
MAX_DESCRIPTION_UNITS: Final = 4000
MAX_PHOTOS: Final = 35
"""https://developers.tiktok.com/doc/content-posting-api-reference-photo-post"""


class PostMode(StrEnum):
    """How the video reaches TikTok."""

    DIRECT = "direct"  # published on the account
    INBOX = "inbox"  # a draft in the person's inbox, finished in TikTok's app


class MediaType(StrEnum):
    """What is posted."""

    VIDEO = "video"
    PHOTO = "photo"  # one to 35 photos


class PrivacyLevel(StrEnum):
    """Who may see a direct post; each creator is offered some of these.

    https://developers.tiktok.com/doc/content-posting-api-reference-query-creator-info
    """

    PUBLIC_TO_EVERYONE = "PUBLIC_TO_EVERYONE"
    MUTUAL_FOLLOW_FRIENDS = "MUTUAL_FOLLOW_FRIENDS"
    FOLLOWER_OF_CREATOR = "FOLLOWER_OF_CREATOR"
    SELF_ONLY = "SELF_ONLY"


class Post(Struct, frozen=True, kw_only=True, gc=False):
    """The choices that go to TikTok unchanged."""

    mode: PostMode = PostMode.DIRECT
    title: str = ""
    privacy_level: PrivacyLevel | None = None  # no default: the person must choose
    disable_comment: bool = False
    disable_duet: bool = False
    disable_stitch: bool = False
    video_cover_timestamp_ms: int | None = None
    brand_content_toggle: bool = False
    brand_organic_toggle: bool = False
    is_aigc: bool = False
    media_type: MediaType = MediaType.VIDEO
    # For photos only.
    description: str = ""
    photo_cover_index: int = 0  # the asset that is shown first
    auto_add_music: bool = False


def utf16_units(text: str) -> int:
    """Count the UTF-16 code units of a text, as TikTok counts a caption's length."""
    return len(text.encode("utf-16-le", errors="surrogatepass")) // 2


def problems_of(post: Post) -> tuple[FieldError, ...]:
    """List what TikTok would refuse about a post, to refuse it now.

    https://developers.tiktok.com/doc/content-sharing-guidelines
    """
    return (*_too_long(post), *_unchosen(post), *_not_carried(post))


def problems_with_photos(post: Post, count: int) -> tuple[FieldError, ...]:
    """List what is wrong with a post's number of photos, and with its cover.

    ``count`` is the length of ``assetUrls``.
    """
    if post.media_type is MediaType.VIDEO:
        wrong = "a video has one address, assetUrl"
        return (FieldError("/assetUrls", wrong),) if count else ()
    if not 1 <= count <= MAX_PHOTOS:
        return (FieldError("/assetUrls", f"TikTok takes 1 to {MAX_PHOTOS} photos"),)
    if not 0 <= post.photo_cover_index < count:
        wrong = f"there are {count} photos, counted from 0"
        return (FieldError("/post/photoCoverIndex", wrong),)
    return ()


def _too_long(post: Post) -> Iterator[FieldError]:
    photo = post.media_type is MediaType.PHOTO
    limits = {
        "title": MAX_PHOTO_TITLE_UNITS if photo else MAX_TITLE_UNITS,
        "description": MAX_DESCRIPTION_UNITS,
    }
    for name in limits.keys() & _carried(post):
        units = utf16_units(getattr(post, name))
        if units > limits[name]:
            yield FieldError(
                f"/post/{name}",
                f"TikTok takes at most {limits[name]:,} UTF-16 code units; this has"
                f" {units:,}",
            )


def _unchosen(post: Post) -> Iterator[FieldError]:
    if post.mode is PostMode.DIRECT and post.privacy_level is None:
        yield FieldError(
            "/post/privacyLevel",
            "a direct post needs a privacy level; it is never chosen for you",
        )
    secret = post.privacy_level is PrivacyLevel.SELF_ONLY
    if post.mode is PostMode.DIRECT and post.brand_content_toggle and secret:
        yield FieldError(
            "/post/brandContentToggle", "branded content cannot be SELF_ONLY"
        )


_DIRECT: Final = (
    "privacy_level",
    "disable_comment",
    "brand_content_toggle",
    "brand_organic_toggle",
    "is_aigc",
)
_OF_VIDEOS: Final = ("disable_duet", "disable_stitch", "video_cover_timestamp_ms")
OF_PHOTOS: Final = ("description", "photo_cover_index", "auto_add_music")

CARRIED: Final[Mapping[tuple[MediaType, PostMode], frozenset[str]]] = {
    (MediaType.VIDEO, PostMode.DIRECT): frozenset({"title", *_DIRECT, *_OF_VIDEOS}),
    (MediaType.VIDEO, PostMode.INBOX): frozenset(),
    (MediaType.PHOTO, PostMode.DIRECT): frozenset({"title", *_DIRECT, *OF_PHOTOS}),
    (MediaType.PHOTO, PostMode.INBOX): frozenset(
        {"title", "description", "photo_cover_index"}
    ),
}
"""The choices that TikTok's endpoint for each kind of post takes.

https://developers.tiktok.com/doc/content-posting-api-reference-upload-video
https://developers.tiktok.com/doc/content-posting-api-reference-photo-post
"""

_NAMES: Final = {
    (MediaType.VIDEO, PostMode.DIRECT): "a video",
    (MediaType.VIDEO, PostMode.INBOX): "a video draft",
    (MediaType.PHOTO, PostMode.DIRECT): "photos",
    (MediaType.PHOTO, PostMode.INBOX): "a photo draft",
}


def _carried(post: Post) -> frozenset[str]:
    return CARRIED[post.media_type, post.mode]


def _not_carried(post: Post) -> Iterator[FieldError]:
    """List the choices that TikTok's endpoint has no field for."""
    kind = post.media_type, post.mode
    for name, unset in _FOREIGN[kind]:
        if getattr(post, name) != unset:
            wrong = f"TikTok does not accept this field for {_NAMES[kind]}"
            yield FieldError(f"/post/{camel(name)}", wrong)


_FOREIGN: Final = {
    kind: [
        (name, getattr(Post(), name))
        for name in ("title", *_DIRECT, *_OF_VIDEOS, *OF_PHOTOS)
        if name not in carried
    ]
    for kind, carried in CARRIED.items()
}
"""The choices that each kind of post does not take, and their values if unset."""
