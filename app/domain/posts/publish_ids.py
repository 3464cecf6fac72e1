"""What the form of TikTok's publish_id says. Pure.

TikTok documents none; these forms are seen in practice. They only rule something out.
"""

from typing import Final

from app.domain.posts.post import MediaType

PULLED: Final = {
    MediaType.VIDEO: ("v_pub_url", "v_inbox_url"),
    MediaType.PHOTO: ("p_pub_url", "p_inbox_url"),
}
UPLOADED: Final = ("v_pub_file", "v_inbox_file")


def not_of(media: MediaType) -> tuple[str, ...]:
    """Return the prefixes of ids that a pull of this media never gets."""
    others = (each for kind, each in PULLED.items() if kind is not media)
    return (*UPLOADED, *(prefix for prefixes in others for prefix in prefixes))
