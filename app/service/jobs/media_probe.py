"""Check the media of a job that is about to be scheduled."""

from typing import Any, Final

from app.domain.accounts.account import CreatorInfo
from app.domain.jobs.job import NewJob
from app.domain.jobs.readiness import UNREACHABLE, ReadinessProblem
from app.domain.posts.media import Film, Picture
from app.domain.posts.post import MediaType
from app.outbound import Outbound, on_behalf_of
from app.outbound.media.checker import Found, MediaChecker
from app.service.jobs.validation import Issue, Probed, Severity

VIDEO_POINTER: Final = "/assetUrl"


class MediaProbe:
    """Asks the media's servers, as readiness checks do."""

    def __init__(self, outbound: Outbound) -> None:
        self._checker = MediaChecker(outbound)

    async def probe(self, new: NewJob, info: CreatorInfo | None) -> Probed:
        """Return what was found, and what TikTok would certainly refuse."""
        found = Found()
        most = None if info is None else info.max_video_seconds
        with on_behalf_of(new.project_id):
            await self._checker.look(new, found, max_seconds=most)
        problems = tuple(map(_problem, found.problems))
        return Probed(media=_shown(new, found), problems=problems)


def _problem(found: ReadinessProblem) -> Issue:
    """Only warn about an unreachable asset: it may be there in time."""
    passing = found.code == UNREACHABLE.code
    return Issue(
        found.code,
        found.pointer or VIDEO_POINTER,
        found.message,
        Severity.WARNING if passing else Severity.ERROR,
    )


def _shown(new: NewJob, found: Found) -> dict[str, Any] | None:
    if new.post.media_type is MediaType.PHOTO:
        return {"photos": [_photo(each) for each in found.photos]}
    return None if found.film is None else _video(found.film)


def _video(film: Film) -> dict[str, Any]:
    return {
        "bytes": film.size,
        "container": film.container,
        "durationSeconds": film.seconds,
        "width": film.width,
        "height": film.height,
        "frameRate": film.frame_rate,
        "codec": film.codec,
    }


def _photo(photo: Picture) -> dict[str, Any]:
    return {
        "bytes": photo.size,
        "type": photo.kind,
        "width": photo.width,
        "height": photo.height,
    }
