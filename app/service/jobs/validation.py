"""Check a job without storing it or sending it to TikTok."""

from collections.abc import AsyncIterator, Iterator, Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct

from app.domain import errors
from app.domain.accounts.account import AccountStatus, CreatorInfo
from app.domain.accounts.account_readiness import (
    OFF,
    privacy_problem,
    scope_problem,
    switched_off,
)
from app.domain.api_key import check_scope
from app.domain.codes import cap_of
from app.domain.jobs.job import NewJob
from app.domain.jobs.readiness import EMPTY, UNREACHABLE, ReadinessProblem, url_problems
from app.domain.posts.media import Film, Picture
from app.domain.posts.post import MediaType, Post, PostMode
from app.machine.clock import Clock
from app.outbound.dialer import on_behalf_of
from app.outbound.media.checker import Found, MediaChecker
from app.service.accounts.accounts import AccountService
from app.service.jobs.holds import HoldService
from app.service.jobs.jobs import JobService


class Severity(StrEnum):
    """How bad a problem is."""

    ERROR = "error"  # it would not be stored, or would fail as things are now
    WARNING = "warning"  # it would be posted, perhaps not as its owner expects


class Issue(Struct, frozen=True):
    """Something that a person may want to know before they schedule."""

    code: str
    pointer: str  # JSON pointer into the request's body
    message: str
    severity: Severity = Severity.ERROR

    @classmethod
    def of(cls, error: errors.FieldError) -> "Issue":
        """Make an error of a field's problem."""
        return cls(error.code, error.pointer, error.message)


class Validation(Struct, frozen=True):
    """What was found."""

    problems: tuple[Issue, ...]
    media: Mapping[str, Any] | None = None
    existing_job_id: str | None = None

    @property
    def ok(self) -> bool:
        """Tell whether it would be stored, and posted as things are now."""
        return all(each.severity is not Severity.ERROR for each in self.problems)


class ValidationService(Struct, frozen=True, kw_only=True):
    """Checks what a person is about to schedule; changes nothing."""

    jobs: JobService
    accounts: AccountService
    holds: HoldService
    clock: Clock
    media: MediaChecker

    async def check(self, new: NewJob, *, scope: str | None) -> Validation:
        """Return what would stop a job from being stored, or posted as requested.

        Raises NotFound for another's project.
        """
        check_scope(new.project_id, scope)
        wrong = tuple(map(Issue.of, self.jobs.problems_with(new)))
        if wrong:
            return Validation(wrong)  # it cannot be stored: no further checks
        in_the_way = [each async for each in self._in_the_way(new)]
        existing_id, too_old = await self._twin(new)
        info, account = await self._account(new, scope)
        media, media_issues = await self._look_at_media(new, info)
        at = new.scheduled_for or self.clock.now()
        links = [
            Issue(found.code, found.pointer or "/assetUrl", found.message)
            for found in url_problems(new.asset_url, new.asset_urls, at=at)
        ]
        return Validation(
            (*in_the_way, *too_old, *account, *links, *media_issues),
            media=media,
            existing_job_id=existing_id,
        )

    async def _twin(self, new: NewJob) -> tuple[str | None, tuple[Issue, ...]]:
        try:
            twin = await self.jobs.find_twin(new)
        except errors.TooLongAgo as error:
            return None, (Issue(error.code, "/scheduledFor", str(error)),)
        return (None if twin is None else twin.id), ()

    async def _in_the_way(self, new: NewJob) -> AsyncIterator[Issue]:
        if new.scheduled_for is not None and new.scheduled_for < self.clock.now():
            text = "is in the past: it would go out at once"
            yield Issue("in_the_past", "/scheduledFor", text, Severity.WARNING)
        # A hold of all projects holds this one, whoever asks.
        for project_id in (new.project_id, None):
            try:
                hold = await self.holds.get(project_id, scope=None)
            except errors.NotFound:
                continue
            text = f"posting is on hold: {hold.reason}"
            yield Issue("held", "/projectId", text, Severity.WARNING)

    async def _account(
        self, new: NewJob, scope: str | None
    ) -> tuple[CreatorInfo | None, tuple[Issue, ...]]:
        try:
            account = await self.accounts.get(new.project_id, new.platform, scope=scope)
            if account.status is not AccountStatus.ACTIVE:
                raise errors.ReconnectRequired
            if missing := scope_problem(new.post, account.grant.scopes):
                wrong = Issue(missing.code, "/projectId", missing.message)
                return None, (wrong,)
            if new.post.mode is PostMode.INBOX:
                return None, ()  # a draft's choices are made in TikTok's app
            info = await self.accounts.creator_info(
                new.project_id, new.platform, scope=scope
            )
        except _OF_ACCOUNT as error:
            return None, (_told(error),)
        return info, tuple(_choices(new.post, info))

    async def _look_at_media(
        self, new: NewJob, info: CreatorInfo | None
    ) -> tuple[Mapping[str, Any] | None, tuple[Issue, ...]]:
        """Ask the media's servers, as readiness checks do."""
        found = Found()
        most = None if info is None else info.max_video_seconds
        with on_behalf_of(new.project_id):
            await self.media.look(new, found, max_seconds=most)
        return _shown(new, found), tuple(map(_of_media, found.problems))


_OF_ACCOUNT = (
    errors.AccountNotConnected,
    errors.ReconnectRequired,
    errors.PostingNotAllowed,
    errors.QuotaExhausted,
    errors.TikTokUnavailable,
    errors.TokenUnreadable,
)


def _told(error: errors.SchedulerError) -> Issue:
    """Return why creator_info failed, and whether that would stop the post."""
    match error:
        case errors.PostingNotAllowed(reason=reason):
            # A cap may be lifted in time; a ban does not end on its own.
            banned = reason is not None and cap_of(reason) is None
            severity = Severity.ERROR if banned else Severity.WARNING
            return Issue(reason or error.code, "/projectId", str(error), severity)
        case errors.QuotaExhausted() | errors.TikTokUnavailable():
            text = f"{error} What the creator may choose was not checked."
            return Issue(error.code, "/projectId", text, Severity.WARNING)
        case _:
            return Issue(error.code, "/projectId", str(error))


def _choices(post: Post, info: CreatorInfo) -> Iterator[Issue]:
    """Compare the post's choices with the creator's options."""
    if found := privacy_problem(post, info.privacy_options):
        yield Issue(found.code, "/post/privacyLevel", found.message)
    fields = {"comments_off": "Comment", "duets_off": "Duet", "stitches_off": "Stitch"}
    for code in switched_off(post, info):
        pointer = f"/post/disable{fields[code]}"
        yield Issue(code, pointer, OFF[code], Severity.WARNING)


def _of_media(found: ReadinessProblem) -> Issue:
    """Only warn about an asset that may be there in time."""
    passing = found.code in {UNREACHABLE.code, EMPTY.code}
    return Issue(
        found.code,
        found.pointer or "/assetUrl",
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
