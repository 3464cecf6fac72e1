"""What keeping TikTok's quotas costs: lone posts, with and without it.

Many accounts have one post each, all due at once. Both kinds of round run in this one
process, turn about, each on an SQLite file of its own.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from tempfile import TemporaryDirectory
from typing import Final

from app.container import Container
from app.domain.accounts.quota import QuotaCall
from app.domain.jobs.job import JobStatus
from app.domain.jobs.outcome import PutOff
from app.pacing.pacer import QuotaUser
from app.store.db.migrate import upgrade
from bench import report
from bench.catalogue import CATALOGUE
from bench.figures import Figure, at_most, median, ratio
from bench.report import Result
from bench.seeds import add_accounts, add_jobs, bench_container, count_jobs
from bench.servers import InstantTikTok, instant_tiktok

ACCOUNTS: Final = 2000
LOOK_SECONDS: Final = 0.5  # so seldom that it weighs nothing


async def run(rounds: int, quick: bool) -> list[Figure]:
    """Measure both turn about; a small round loads what is loaded once."""
    accounts = 50 if quick else ACCOUNTS
    spent = dict[bool, list[float]]()
    async with instant_tiktok() as tiktok:
        await _round(tiktok, 50, paced=True)
        for number in range(2 * rounds):
            paced = number % 2 == 0
            cpu = await _round(tiktok, accounts, paced=paced)
            spent.setdefault(paced, []).append(1000 * cpu / accounts)
    return [
        median("CPU of a post whose calls are paced", spent[True], "ms"),
        median("CPU of one whose calls are not", spent[False], "ms"),
        ratio("to the one without", spent[True], spent[False], bar=at_most(1.1)),
    ]


async def _round(tiktok: InstantTikTok, accounts: int, *, paced: bool) -> float:
    """Return the seconds of CPU that it took to post once on each account."""
    async with _fresh(tiktok) as made:
        if not paced:
            made.pacer.acquire = _at_once  # type: ignore[method-assign]
        await add_accounts(made, accounts)
        await add_jobs(made, accounts, due=made.clock.now())
        began = time.process_time()
        await _run_until_posted(made, accounts)
        return time.process_time() - began


async def _at_once(user: QuotaUser, call: QuotaCall) -> PutOff | datetime:  # noqa: ARG001  as a Pacer
    return datetime.max.replace(tzinfo=UTC)


@asynccontextmanager
async def _fresh(tiktok: InstantTikTok) -> AsyncIterator[Container]:
    with TemporaryDirectory() as folder:
        url = f"sqlite+aiosqlite:///{folder}/scheduler.db"
        await asyncio.to_thread(upgrade, url)
        async with bench_container(url, tiktok, poll_interval_seconds=0.2) as made:
            yield made


async def _run_until_posted(made: Container, count: int) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(made.runner.run(stop))
    while await count_jobs(made, JobStatus.POSTED) < count:  # noqa: ASYNC110  nothing tells when
        await asyncio.sleep(LOOK_SECONDS)
    stop.set()
    await running


if __name__ == "__main__":
    entry = next(each for each in CATALOGUE if each.name == "pacing")
    began = time.monotonic()
    found = asyncio.run(run(entry.rounds, quick=False))
    report.show(Result(entry, tuple(found), time.monotonic() - began, ""))
