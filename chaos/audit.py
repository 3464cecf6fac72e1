"""Collect what became of a cell's jobs: in the database, and at TikTok.

A trigger notes every change of a job's status, whoever makes it, so that the service's
own ledger is not the only witness.
"""

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import asyncpg
from sqlalchemy import make_url, text

from app.container import Container
from app.domain.codes import FAILED_OVER, RESTORED
from app.domain.jobs.job import AttemptRecord, Job, JobStatus
from app.domain.jobs.transition import TRANSITIONS
from app.sandbox.posts import Post, PostStatus
from chaos.cells import End

_CHANGE: Final = (
    "OLD.status IS DISTINCT FROM NEW.status"
    " OR OLD.claim_token IS DISTINCT FROM NEW.claim_token"
)
_NOTE: Final = (
    "INSERT INTO chaos_audit (job_id, was, became)"
    " VALUES (NEW.id, OLD.status, NEW.status);"
)
_SQLITE: Final = f"""
CREATE TABLE chaos_audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT, job_id TEXT, was TEXT, became TEXT);
CREATE TRIGGER chaos_note AFTER UPDATE ON schedule_jobs
  WHEN {_CHANGE} BEGIN {_NOTE} END;
"""
_POSTGRES: Final = f"""
CREATE TABLE chaos_audit (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  job_id TEXT, was TEXT, became TEXT);
CREATE FUNCTION chaos_note() RETURNS trigger LANGUAGE plpgsql
  AS $$ BEGIN {_NOTE} RETURN NULL; END $$;
CREATE TRIGGER chaos_note AFTER UPDATE ON schedule_jobs FOR EACH ROW
  WHEN ({_CHANGE}) EXECUTE FUNCTION chaos_note();
"""
_OVER: Final = frozenset({JobStatus.POSTED, JobStatus.FAILED})
_HELD: Final = frozenset({RESTORED, FAILED_OVER})
_SUCCESSES: Final = frozenset({"published", "in_inbox"})


@dataclass(frozen=True, slots=True)
class Found:
    """What became of one job."""

    job: Job
    ledger: tuple[AttemptRecord, ...]
    changes: tuple[tuple[str, str], ...]  # of the status, from and to
    posts: tuple[Post, ...]  # that TikTok took

    @property
    def end(self) -> End:
        """Return how it ended."""
        fate = self.job.failure_reason or self.job.status
        return End(str(fate), sum(map(_is_out, self.posts)))


def install(url: str) -> None:
    """Install the trigger in a database."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        connection = sqlite3.connect(str(parsed.database))
        connection.executescript(_SQLITE.replace("IS DISTINCT FROM", "IS NOT"))
        connection.close()
    else:
        dsn = parsed.set(drivername="postgresql")
        asyncio.run(_execute(dsn.render_as_string(hide_password=False), _POSTGRES))


async def look(
    container: Container, jobs: Sequence[Job], posts: Sequence[Post]
) -> list[Found]:
    """Collect what became of jobs."""
    changes = await noted_changes(container)
    return [
        Found(
            job=await container.jobs.get(job.id),
            ledger=tuple(await container.jobs.attempts(job.id)),
            changes=tuple(changes.get(job.id, ())),
            posts=tuple(post for post in posts if post.title in {None, job.asset_id}),
        )
        for job in jobs
    ]


async def noted_changes(container: Container) -> dict[str, list[tuple[str, str]]]:
    """Return what the trigger noted of each job, in order."""
    notes = text("SELECT job_id, was, became FROM chaos_audit ORDER BY id")
    changes: dict[str, list[tuple[str, str]]] = {}
    async with container.database.read() as connection:
        for job_id, was, became in await connection.execute(notes):
            changes.setdefault(job_id, []).append((was, became))
    return changes


def complaints(found: Found) -> Iterator[str]:
    """Yield what is wrong with a job whatever was done to the worker."""
    job, posts = found.job, found.end.posts
    if job.status not in _OVER:
        yield f"no end: {job.status} after {job.attempts} attempts"
    if posts > 1:
        yield f"{posts} posts"
    if any(post.open_id != job.open_id for post in found.posts):
        yield "a post on somebody else's account"
    if job.status is JobStatus.POSTED and posts != 1:
        yield f"said to be posted with {posts} posts"
    open_posts = [post for post in found.posts if _may_be_posted(post)]
    if len(open_posts) > 1:
        yield f"{len(open_posts)} inits that could become posts"
    yield from _of_changes(found)
    yield from _of_ledger(found)


def _of_changes(found: Found) -> Iterator[str]:
    for was, became in found.changes:
        if JobStatus(became) not in TRANSITIONS[JobStatus(was)]:
            yield f"illegal change: {was} to {became}"
    for (_, became), (was, _) in pairwise(found.changes):
        if became != was:
            yield f"a change nobody noted: {became} to {was}"


def _of_ledger(found: Found) -> Iterator[str]:
    job, ledger = found.job, found.ledger
    if [entry.number for entry in ledger] != list(range(1, job.attempt_number + 1)):
        yield "the ledger has gaps"
    failures = sum(entry.outcome not in _SUCCESSES for entry in ledger)
    if failures != job.attempts or job.attempts > job.max_attempts:
        yield f"{job.attempts} attempts, {failures} failures in the ledger"
    if job.status not in _OVER or not ledger or _corrected(found):
        return
    if job.last_error is not None and job.last_error.code in _HELD:
        return  # which is no attempt
    *earlier, last = (entry.decision for entry in ledger)
    end = f"failed:{job.failure_reason}" if job.failure_reason else str(job.status)
    if last != end:
        yield f"the ledger ends with {last}, the job with {end}"
    if not set(earlier) <= {"retrying", "processing", "scheduled"}:
        yield f"the ledger goes on after an end: {earlier}"


def _corrected(found: Found) -> bool:
    """Tell whether a late correction by TikTok changed the end; it is no attempt."""
    return any(JobStatus(was) in _OVER for was, _ in found.changes)


def _may_be_posted(post: Post) -> bool:
    """Tell whether it may become a post; an upload only with its last byte."""
    whole = post.upload is None or post.upload.complete
    return whole and post.status is not PostStatus.FAILED


def _is_out(post: Post) -> bool:
    return post.published_at is not None or post.status is PostStatus.SEND_TO_USER_INBOX


async def _execute(dsn: str, script: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(script)
    await connection.close()
