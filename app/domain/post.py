"""What the person chose for their post: values and TikTok's limits on them."""

from enum import StrEnum
from typing import Final

from app.domain.errors import FieldError
from app.domain.record import record

MAX_TITLE_UNITS: Final = 2200
"""Longest caption of a video, in UTF-16 code units, not characters.

https://developers.tiktok.com/doc/content-posting-api-reference-direct-post
"""


class PostMode(StrEnum):
    """How the video reaches TikTok."""

    DIRECT = "direct"  # published on the account
    INBOX = "inbox"  # a draft in the person's inbox, finished in TikTok's app


class PrivacyLevel(StrEnum):
    """Who may see a direct post; each creator is offered some of these.

    https://developers.tiktok.com/doc/content-posting-api-reference-query-creator-info
    """

    PUBLIC_TO_EVERYONE = "PUBLIC_TO_EVERYONE"
    MUTUAL_FOLLOW_FRIENDS = "MUTUAL_FOLLOW_FRIENDS"
    FOLLOWER_OF_CREATOR = "FOLLOWER_OF_CREATOR"
    SELF_ONLY = "SELF_ONLY"


@record(frozen=True, kw_only=True)
class Post:
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


def utf16_units(text: str) -> int:
    """Count the UTF-16 code units of a text, as TikTok counts a caption's length."""
    return len(text.encode("utf-16-le", errors="surrogatepass")) // 2


def problems_of(post: Post) -> tuple[FieldError, ...]:
    """List what TikTok would refuse about a post, so that it is refused now.

    https://developers.tiktok.com/doc/content-sharing-guidelines
    """
    found = []
    if utf16_units(post.title) > MAX_TITLE_UNITS:
        found.append(
            FieldError(
                "/post/title",
                f"TikTok takes at most {MAX_TITLE_UNITS} UTF-16 code units",
            )
        )
    if post.mode is PostMode.DIRECT and post.privacy_level is None:
        found.append(
            FieldError(
                "/post/privacyLevel",
                "a direct post needs a privacy level; it is never chosen for you",
            )
        )
    if post.brand_content_toggle and post.privacy_level is PrivacyLevel.SELF_ONLY:
        found.append(
            FieldError(
                "/post/brandContentToggle", "branded content cannot be SELF_ONLY"
            )
        )
    return tuple(found)
