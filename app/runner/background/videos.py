"""Find an account's video of a job by its caption."""

from datetime import datetime
from typing import Final

from app.domain.jobs.job import Job
from app.domain.jobs.outcome import Fault
from app.domain.posts.post import PostMode, PrivacyLevel
from app.grants.grants import Access
from app.tiktok.client import Calls
from app.tiktok.values import Video

SHOWN_CAPTION: Final = 150
"""How much of a caption the video list shows.

https://developers.tiktok.com/doc/tiktok-api-v2-video-object
"""

MOST_PAGES: Final = 5
"""How far back the video list is read."""


async def videos_since(
    calls: Calls, access: Access, since: datetime
) -> list[Video] | None:
    """List the account's public videos since then; None if the list is incomplete."""
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
    """Tell whether the job's post would be in the list and has a caption."""
    public = job.post.privacy_level is PrivacyLevel.PUBLIC_TO_EVERYONE
    return public and job.post.mode is PostMode.DIRECT and bool(job.post.title.strip())


def shows(video: Video, caption: str) -> bool:
    """Tell whether a video's text is this caption, or the part of it TikTok shows."""
    return any(_is_cut_of(text, caption) for text in (video.title, video.description))


def _is_cut_of(shown: str, caption: str) -> bool:
    text, whole = shown.strip(), caption.strip()
    # TikTok does not say how it counts; UTF-16 units are the largest count.
    is_cut = len(shown.encode("utf-16-le", "surrogatepass")) // 2 >= SHOWN_CAPTION - 1
    return bool(text) and (text == whole or (is_cut and whole.startswith(text)))
