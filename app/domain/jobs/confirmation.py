"""When TikTok is asked again about a job that is over, and which publish may be its."""

from datetime import datetime, timedelta
from typing import Final

from app.domain.jobs.job import Job
from app.domain.posts.post import MediaType, PostMode, PrivacyLevel

CONFIRM_STEPS: Final = tuple(
    timedelta(minutes=minutes) for minutes in (1, 5, 30, 120, 480, 1440)
)
"""When TikTok is asked again after a job ended in doubt.

Most publishes end within minutes; moderation can take hours.
https://developers.tiktok.com/doc/content-posting-api-reference-get-video-status
"""

# The forms of publish_ids seen in practice; TikTok documents none, and they only rule
# something out.
PULLED: Final = {
    MediaType.VIDEO: ("v_pub_url", "v_inbox_url"),
    MediaType.PHOTO: ("p_pub_url", "p_inbox_url"),
}
UPLOADED: Final = ("v_pub_file", "v_inbox_file")


def first_confirmation(now: datetime) -> datetime:
    """Return when TikTok is first asked again about a job that just ended."""
    return now + CONFIRM_STEPS[0]


def next_confirmation(tries: int, now: datetime) -> datetime | None:
    """Return when to ask after so many tries, None after the last."""
    if tries >= len(CONFIRM_STEPS):
        return None
    return now + CONFIRM_STEPS[tries]


def lacks_post_id(job: Job, post_id: str | None) -> bool:
    """Tell whether a public post has no id yet."""
    public = job.post.privacy_level is PrivacyLevel.PUBLIC_TO_EVERYONE
    return public and post_id is None and job.post.mode is PostMode.DIRECT


def not_of(media: MediaType) -> tuple[str, ...]:
    """Return the prefixes of ids that a pull of this media never gets."""
    others = (each for kind, each in PULLED.items() if kind is not media)
    return (*UPLOADED, *(prefix for prefixes in others for prefix in prefixes))
