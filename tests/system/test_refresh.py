"""Many posts of one account, and a token that is dead when they fall due."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from app.domain.accounts.account import AccountStatus
from app.domain.jobs.job import FailureReason, Job, JobStatus
from app.sandbox.recording import Call
from app.store.jobs.requests.listing import JobFilter
from tests.support.factories import job_row, store_rows
from tests.system.programs import until
from tests.system.site import Site

NAME: Final = "proj_1"
POSTS: Final = 200
ENDED: Final = timedelta(seconds=-1)
OVER: Final = {JobStatus.POSTED, JobStatus.FAILED}
CUT_OFF: Final = {"kind": "truncate", "taken": True}
UNLIMITED: Final = {
    "TIKTOK_INIT_PER_MINUTE": "10000",
    "TIKTOK_CREATOR_INFO_PER_MINUTE": "10000",
}


async def run_out(site: Site, *, lives: timedelta = ENDED) -> list[Job]:
    """Let all posts fall due while every worker is up; return them as they ended."""
    # Longer than an idle worker rests, so that all of them meet in the refresh.
    site.script("token", times=None, fault={"kind": "slow", "seconds": 1.5})
    # One process may write SQLite; on Postgres four of them race for the refresh,
    # none of which can take all posts.
    workers = 1 if site.container.database.is_sqlite else 4
    for _ in range(workers):
        worker = await site.programs.start(
            "worker", MAX_IN_FLIGHT=str(POSTS // workers), **UNLIMITED
        )
        await worker.says("worker started")
    await site.connect(NAME, lives=lives)  # now: a worker refreshes at its start
    sandbox = site.tiktok.sandbox
    sandbox.accounts.kill_access_token(NAME, now=sandbox.now())
    url = f"{site.tiktok.url}/_sandbox/video.mp4"
    due: dict[str, Any] = {"asset_url": url, "next_attempt_at": datetime.now(UTC)}
    await store_rows(site.container.database, [job_row(**due) for _ in range(POSTS)])
    found: tuple[Job, ...] = ()

    async def over() -> bool:
        nonlocal found
        found = tuple(await site.container.jobs.list(JobFilter(), limit=POSTS))
        return all(job.status in OVER for job in found)

    await until(over, what="the end of all")
    return list(found)


def tried(jobs: list[Job]) -> Counter[tuple[str, bool]]:
    """Count how jobs ended, and whether that took failed attempts."""
    return Counter((str(job.status), job.attempts > 0) for job in jobs)


@pytest.mark.parametrize("lives", [ENDED, timedelta(hours=2)], ids=["known", "unknown"])
async def test_all_posts_of_an_account_share_one_refresh(
    site: Site, lives: timedelta
) -> None:
    """Whether we know that the token ended or TikTok has to say so."""
    jobs = await run_out(site, lives=lives)
    assert tried(jobs) == {("posted", False): POSTS}
    assert len(site.calls(Call.TOKEN)) == 1
    assert site.published == POSTS


async def test_a_lost_answer_costs_no_account_whose_old_pair_still_works(
    site: Site,
) -> None:
    """The next refresh leads to the pair that was missed, and all posts go out."""
    sandbox = site.tiktok.sandbox
    forgiving = sandbox.settings.model_copy(update={"refresh_grace": 60})
    sandbox.apply(forgiving, reseed=False)
    site.script("token", fault=CUT_OFF)
    jobs = await run_out(site)
    assert {job.status for job in jobs} == {JobStatus.POSTED}
    assert len(site.calls(Call.TOKEN)) == 2
    assert site.published == POSTS
    account = await site.container.accounts.get(NAME, "tiktok")
    assert account.status is AccountStatus.ACTIVE


async def test_a_lost_answer_whose_old_pair_is_dead_asks_for_a_new_consent(
    site: Site,
) -> None:
    """The next refresh says so, once for all; nothing was sent, no post is in doubt."""
    site.script("token", fault=CUT_OFF)
    jobs = await run_out(site)
    assert {(job.status, job.failure_reason) for job in jobs} == {
        (JobStatus.FAILED, FailureReason.AUTH)
    }
    assert len(site.calls(Call.TOKEN)) == 2
    assert not site.calls(Call.INIT)
    account = await site.container.accounts.get(NAME, "tiktok")
    assert account.status is AccountStatus.RECONNECT_REQUIRED
    assert account.reconnect_reason == "invalid_grant"
