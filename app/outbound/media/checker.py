"""Check a job's video or photos at their URLs; report only what is certain."""

import asyncio
from contextlib import closing, suppress
from typing import Final

from msgspec import Struct, field

from app.domain.jobs.job import Job, NewJob
from app.domain.jobs.readiness import (
    NOT_A_VIDEO,
    REFUSED,
    UNREACHABLE,
    ReadinessProblem,
    asset_problem,
)
from app.domain.posts.media import Film, Picture, film_problems, photo_problems
from app.domain.posts.post import MediaType
from app.outbound.client import Outbound
from app.outbound.errors import OutboundError, Refused
from app.outbound.media.measure import Measurer

ASSET_SECONDS: Final = 10.0
"""How long an asset's server may take to answer with headers."""

LOOK_SECONDS: Final = 60.0
"""How long one job's media are looked at: other jobs' checks wait for it.

A server that never answers would take twenty seconds for each of 35 photos.
"""


class Found(Struct):
    """What a check has found so far."""

    problems: list[ReadinessProblem] = field(default_factory=list)
    film: Film | None = None  # as measured
    photos: list[Picture] = field(default_factory=list)
    remarks: tuple[str, ...] = ()  # as in Readiness

    @property
    def video_seconds(self) -> float | None:
        """Return the video's length, None if unknown."""
        return None if self.film is None else self.film.seconds

    def add(self, problem: ReadinessProblem | None) -> None:
        """Add a problem, if there is one."""
        if problem is not None:
            self.problems.append(problem)


class MediaChecker:
    """Asks the media's servers, never TikTok."""

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound
        self._measurer = Measurer(outbound)

    async def look(
        self, job: Job | NewJob, found: Found, *, max_seconds: int | None
    ) -> None:
        """Add the problems that would stop the media from being posted.

        What was found when the time is over has to do.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await self._look(job, found, max_seconds)

    async def _look(
        self, job: Job | NewJob, found: Found, max_seconds: int | None
    ) -> None:
        if job.post.media_type is MediaType.VIDEO:
            await self._look_at_video(job.asset_url, found, max_seconds)
            return
        for place, url in enumerate(job.asset_urls):
            await self._look_at_photo(url, place, found)

    async def _look_at_video(
        self, url: str, found: Found, max_seconds: int | None
    ) -> None:
        problem = await self._asset_problem(url, is_photo=False)
        if problem not in {None, NOT_A_VIDEO}:
            found.add(problem)
            return
        try:
            film = await self._measurer.film(url)
        except OutboundError:
            found.add(problem)
            return  # it answered just before: nothing more is certain
        if problem is not None and not film.is_film:
            found.add(problem)  # nor do its first bytes say that it is one
            return
        found.film = film
        for each in film_problems(film, max_seconds):
            found.add(each)

    async def _look_at_photo(self, url: str, place: int, found: Found) -> None:
        problem = await self._asset_problem(url, is_photo=True)
        if problem is not None:
            pointer = f"/assetUrls/{place}"
            text = problem.message.replace("The video", f"The photo at {pointer}", 1)
            found.add(ReadinessProblem(problem.code, text, pointer))
            return
        try:
            photo = await self._measurer.picture(url)
        except OutboundError:
            return
        found.photos.append(photo)
        for each in photo_problems(photo, place):
            found.add(each)

    async def _asset_problem(
        self, url: str, *, is_photo: bool
    ) -> ReadinessProblem | None:
        problem = await self._asked("HEAD", url, is_photo=is_photo)
        if problem is None or problem is REFUSED:
            return problem
        # TikTok sends a GET. Some servers do not support HEAD, a URL signed for GET
        # refuses it, and some answer it with another type, or not at all.
        return await self._asked("GET", url, is_photo=is_photo)

    async def _asked(
        self, method: str, url: str, *, is_photo: bool
    ) -> ReadinessProblem | None:
        part = {"Range": "bytes=0-0"} if method == "GET" else None
        try:
            opened = await self._outbound.open(
                method, url, headers=part, seconds=ASSET_SECONDS
            )
            with closing(opened) as answer:
                return asset_problem(answer.status, answer.headers, is_photo=is_photo)
        except Refused:
            return REFUSED
        except OutboundError:
            return UNREACHABLE
