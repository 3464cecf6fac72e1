"""What people do with their jobs."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from msgspec import Struct, field, structs

from app.domain.accounts.account import PLATFORM
from app.domain.api_key import Actor, check_scope
from app.domain.errors import FieldError, InvalidInput, JobNotCancellable, NotFound
from app.domain.jobs.edit import (
    UNSET,
    JobChange,
    problem_with_deadline,
    problem_with_transfer,
    problems_with_content,
)
from app.domain.jobs.idempotency_keys import RequestKey
from app.domain.jobs.job import (
    AttemptRecord,
    FailureReason,
    Job,
    JobStatus,
    NewJob,
    Transfer,
)
from app.domain.naming import problem_with_name
from app.domain.posts.asset_url import (
    MAX_UNSEEN_URL_LENGTH,
    MAX_URL_LENGTH,
    problem_with_url,
)
from app.domain.posts.post import MediaType
from app.machine.clock import Clock
from app.metrics import Metrics
from app.service.jobs.history import HistoryItem, story_of
from app.service.jobs.publish_canceller import PublishCanceller
from app.service.pages import Page, cut_page, decode_job_cursor, encode_job_cursor
from app.store.db.engine import Database
from app.store.jobs.requests.bulk_actions import (
    CancelFilter,
    CancelResult,
    RetryFilter,
    RetryResult,
    cancel_many,
    retry_failed,
)
from app.store.jobs.requests.job_store import JobStore
from app.store.jobs.requests.listing import (
    NEWEST_FIRST,
    JobFilter,
    JobOrder,
    JobPosition,
    JobSort,
    position_of,
)

__all__ = [
    "CancelFilter",
    "JobFilter",
    "JobOrder",
    "JobService",
    "JobSort",
]

OVERDUE: Final = timedelta(days=1)
"""After this delay a post may no longer be wanted."""


class JobService(Struct, frozen=True, kw_only=True):
    """Schedules, shows, changes and restarts jobs."""

    store: JobStore
    database: Database
    clock: Clock
    on_due: Callable[[], None]  # wakes the runner; only a hint
    allow_private_urls: bool = False
    default_transfer: Transfer = Transfer.PULL
    longest_pulled: int = MAX_URL_LENGTH
    metrics: Metrics = field(default_factory=Metrics)
    canceller: PublishCanceller

    async def create(
        self,
        new: NewJob,
        *,
        scope: str | None,
        key: RequestKey | None = None,
        by: str | None = None,
    ) -> tuple[Job, bool]:
        """Store a job, or find the one this request repeats; True if it is new.

        ``by`` is the id of the caller's API key.
        Raises InvalidInput, NotFound for another's project, IdempotencyKeyReused,
        TooLongAgo or MayHaveBeenStored.
        """
        if problems := tuple(self.problems_with(new)):
            raise InvalidInput(*problems)
        check_scope(new.project_id, scope)
        new = structs.replace(new, transfer=self._transfer(new))
        now = self.clock.now()
        job, created = await self.store.add(new, now=now, key=key, by=by)
        if created:
            self._wake(job)
        else:
            self.metrics.duplicates.repeat(new)
        return job, created

    async def find_twin(self, new: NewJob) -> Job | None:
        """Return the existing job that a request would get, None if it is new.

        Raises TooLongAgo.
        """
        return await self.store.find_twin(new, now=self.clock.now())

    async def get(self, job_id: str, *, scope: str | None) -> Job:
        """Return a job; raises NotFound."""
        return await self.store.get(_checked_id(job_id), project_id=scope)

    async def list(
        self,
        which: JobFilter,
        order: JobOrder | None,
        *,
        limit: int,
        cursor: str | None,
        scope: str | None,
    ) -> Page[Job]:
        """Return a page of jobs; without an order, in the cursor's or newest first.

        Raises InvalidInput for a made-up cursor or one of another order, NotFound for
        another's project.
        """
        if which.project_id is None:
            which = structs.replace(which, project_id=scope)
        else:
            check_scope(which.project_id, scope)
        after, order = _place(cursor, order)
        if which.platform not in (None, PLATFORM):
            return Page((), None)  # no job can match
        found = await self.store.list(which, order, limit=limit + 1, after=after)
        return cut_page(
            found,
            limit,
            lambda last: encode_job_cursor(position_of(last, order), order),
        )

    async def attempts(
        self, job_id: str, *, scope: str | None
    ) -> tuple[AttemptRecord, ...]:
        """Return a job's ledger, oldest first; raises NotFound."""
        return await self.store.attempts(_checked_id(job_id), project_id=scope)

    async def edit(
        self,
        job_id: str,
        change: JobChange,
        *,
        scope: str | None,
        by: Actor | None = None,
    ) -> Job:
        """Change a job that TikTok has nothing of.

        Raises NotFound, InvalidInput, JobNotEditable or DuplicateJob.
        """
        if problems := tuple(self._changed_url_problems(change)):
            raise InvalidInput(*problems)
        job = await self.store.edit(
            _checked_id(job_id), change, now=self.clock.now(), project_id=scope, by=by
        )
        self._wake(job)
        return job

    async def delete(self, job_id: str, *, scope: str | None) -> None:
        """Delete a job that guards no post; raises NotFound or JobNotDeletable."""
        await self.store.delete(_checked_id(job_id), project_id=scope)

    async def retry(
        self,
        job_id: str,
        *,
        accept_duplicate_risk: bool,
        scope: str | None,
        by: Actor | None = None,
    ) -> Job:
        """Start a failed job again.

        If the risk is accepted, an open publish is given up, after asking TikTok to
        cancel it. Raises NotFound, JobNotRetryable, TooLate, OutcomeUnknown or
        DuplicateJob.
        """
        if accept_duplicate_risk:
            job = await self.get(job_id, scope=scope)
            if job.status is JobStatus.FAILED:
                await self.canceller.cancel(job)
        job = await self.store.retry(
            _checked_id(job_id),
            now=self.clock.now(),
            accept_duplicate_risk=accept_duplicate_risk,
            project_id=scope,
            by=by,
        )
        self._wake(job)
        return job

    async def cancel(
        self, job_id: str, *, scope: str | None, by: Actor | None = None
    ) -> Job:
        """Cancel a job.

        A publish at TikTok is cancelled there, if TikTok can. Raises NotFound or
        JobNotCancellable.
        """
        try:
            job = await self.store.cancel(
                _checked_id(job_id), now=self.clock.now(), project_id=scope, by=by
            )
        except JobNotCancellable:
            there = await self.get(job_id, scope=scope)
            if not await self.canceller.cancel(there):
                raise
            job = await self.store.cancel(
                there.id,
                now=self.clock.now(),
                cancelled_publish=there.publish_id,
                project_id=scope,
                by=by,
            )
        self.on_due()  # there may be an event to deliver
        return job

    async def cancel_many(
        self,
        which: CancelFilter,
        *,
        dry_run: bool,
        scope: str | None,
        by: Actor | None = None,
    ) -> CancelResult:
        """Cancel a project's jobs that TikTok has nothing of; raises NotFound."""
        check_scope(which.project_id, scope)
        return await cancel_many(
            self.database, which, now=self.clock.now(), by=by, dry_run=dry_run
        )

    async def history(
        self, job_id: str, *, scope: str | None
    ) -> tuple[HistoryItem, ...]:
        """Return a job's full history, oldest first; raises NotFound."""
        found = await self.store.history(_checked_id(job_id), project_id=scope)
        return story_of(*found)

    async def retry_failed(
        self,
        project_id: str,
        reason: FailureReason,
        *,
        include_overdue: bool,
        scope: str | None,
        by: Actor | None = None,
    ) -> RetryResult:
        """Retry the jobs that failed for one reason and are safe to retry.

        Jobs more than a day late are retried only on request: nobody may want them any
        more. Raises NotFound or DuplicateJob.
        """
        check_scope(project_id, scope)
        now = self.clock.now()
        which = RetryFilter(
            project_id=project_id,
            reason=reason,
            scheduled_from=None if include_overdue else now - OVERDUE,
        )
        result = await retry_failed(self.database, which, now=now, by=by)
        if result.retried:
            self.on_due()
        return result

    def _wake(self, job: Job) -> None:
        due = job.next_attempt_at
        if due is not None and due <= self.clock.now():
            self.on_due()

    def problems_with(self, new: NewJob) -> Iterator[FieldError]:
        """Yield the reasons why a job cannot be stored."""
        names = (
            ("/projectId", new.project_id),
            ("/platform", new.platform),
            ("/assetId", new.asset_id),
        )
        for pointer, name in names:
            if problem := problem_with_name(name):
                yield FieldError(pointer, problem)
        if new.asset_url:
            longest = self._longest(self._transfer(new))
            yield from self._url_problems("/assetUrl", new.asset_url, longest)
        longest = self._longest(Transfer.PULL)
        yield from self._photo_url_problems(new.asset_urls, longest)
        yield from problems_with_content(new.post, new.asset_url, new.asset_urls)
        if wrong_way := problem_with_transfer(new.transfer, new.post):
            yield wrong_way
        due = new.scheduled_for or self.clock.now()
        if deadline := problem_with_deadline(new.publish_by, due):
            yield deadline

    def _transfer(self, new: NewJob) -> Transfer:
        """Return the requested or default transfer; photos have only one."""
        if new.post.media_type is MediaType.PHOTO:
            return Transfer.PULL
        return new.transfer or self.default_transfer

    def _changed_url_problems(self, change: JobChange) -> Iterator[FieldError]:
        # Which length is too long depends on the job: the store looks at that.
        longest = MAX_UNSEEN_URL_LENGTH
        if change.asset_url is not UNSET:
            yield from self._url_problems("/assetUrl", change.asset_url, longest)
        if change.asset_urls is not UNSET:
            yield from self._photo_url_problems(change.asset_urls, longest)

    def _photo_url_problems(
        self, urls: Sequence[str], longest: int
    ) -> Iterator[FieldError]:
        for place, url in enumerate(urls):
            yield from self._url_problems(f"/assetUrls/{place}", url, longest)

    def _longest(self, way: Transfer) -> int:
        """Return how long a URL may be: longer if TikTok never sees it."""
        pushed = way is Transfer.PUSH
        return MAX_UNSEEN_URL_LENGTH if pushed else self.longest_pulled

    def _url_problems(
        self, pointer: str, url: str, longest: int
    ) -> Iterator[FieldError]:
        problem = problem_with_url(
            url, allow_private=self.allow_private_urls, longest=longest
        )
        if problem:
            yield FieldError(pointer, problem)


def _place(
    cursor: str | None, order: JobOrder | None
) -> tuple[JobPosition | None, JobOrder]:
    if cursor is None:
        return None, order or NEWEST_FIRST
    after, its_order = decode_job_cursor(cursor)
    if order not in (None, its_order):
        message = "belongs to a list in another order; keep sort and order"
        raise InvalidInput(FieldError("/cursor", message))
    return after, its_order


def _checked_id(job_id: str) -> str:
    """Accept only what can be an id: Postgres fails on some other texts."""
    try:
        known = str(UUID(job_id)) == job_id
    except ValueError:
        known = False
    if not known:
        raise NotFound
    return job_id
