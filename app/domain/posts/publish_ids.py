"""What the shape of TikTok's publish_id tells. Pure.

TikTok documents none; these were seen by all who post. A shape only ever rules out.
"""

from typing import Final

from app.domain.posts.post import MediaType

PULLED: Final = {
    MediaType.VIDEO: ("v_pub_url", "v_inbox_url"),
    MediaType.PHOTO: ("p_pub_url", "p_inbox_url"),
}
UPLOADED: Final = ("v_pub_file", "v_inbox_file")


def not_of(media: MediaType) -> tuple[str, ...]:
    """Return the beginnings of ids that a pull of such media never gets."""
    others = (each for kind, each in PULLED.items() if kind is not media)
    return (*UPLOADED, *(prefix for prefixes in others for prefix in prefixes))
