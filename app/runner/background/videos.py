"""Which of an account's videos a job became, as far as their texts can tell."""

from datetime import datetime
from typing import Final

from app.domain.jobs.job import Job
from app.domain.jobs.outcome import Fault
from app.domain.posts.post import PostMode, PrivacyLevel
from app.grants.grants import Access
from app.tiktok import Calls, Video

SHOWN_CAPTION: Final = 150
"""How much of a caption the list of videos shows.

https://developers.tiktok.com/doc/tiktok-api-v2-video-object
"""

MOST_PAGES: Final = 5
"""How far back the list of videos is read."""


async def videos_since(
    calls: Calls, access: Access, since: datetime
) -> list[Video] | None:
    """List the account's public videos since then; None unless all can be seen."""
    videos: list[Video] = []
    cursor: int | None = None
    for _ in range(MOST_PAGES):
        page = await calls.list_videos(access.token, cursor=cursor)
        if isinstance(page, Fault):
            return None
        videos += page.videos
        cursor = page.cursor
        older = any(video.create_time < since for video in page.videos)
        if older or not page.has_more or cursor is None:
            return videos
    return None


def can_be_found(job: Job) -> bool:
    """Tell whether the job's post is in the list of videos, and known by its text."""
    public = job.post.privacy_level is PrivacyLevel.PUBLIC_TO_EVERYONE
    return public and job.post.mode is PostMode.DIRECT and bool(job.post.title.strip())


def shows(video: Video, caption: str) -> bool:
    """Tell whether a video's text is this caption, or the part that TikTok shows."""
    return any(_is_cut_of(text, caption) for text in (video.title, video.description))


def _is_cut_of(shown: str, caption: str) -> bool:
    text, whole = shown.strip(), caption.strip()
    # Nobody says in which units TikTok counts: in UTF-16's it is as many or more.
    is_cut = len(shown.encode("utf-16-le", "surrogatepass")) // 2 >= SHOWN_CAPTION - 1
    return bool(text) and (text == whole or (is_cut and whole.startswith(text)))
