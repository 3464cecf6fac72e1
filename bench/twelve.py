"""Twelve posts due at once on one account, in TikTok's real windows of a minute.

    python -m bench.twelve --workers 1 --workers 4

Each run starts so many workers on a Postgres and reads at the simulator's door what
came: no sliding minute may hold more calls than TikTok takes. Some minutes long, so it
is no part of `make bench`.
"""

import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

import httpx
import typer

from app.container import Container
from app.domain.accounts.account import Grant, NewAccount
from app.domain.accounts.quota import QUEUE_TURNS, SKEW, WINDOW
from app.domain.jobs.job import Job, JobStatus
from app.store.jobs.requests.listing import JobFilter
from bench.seeds import add_jobs, bench_container
from bench.servers import (
    InstantTikTok,
    environment,
    fresh_database,
    postgres,
    program,
)

LIMITS: Final = {"init": 6, "status": 30, "creator_info": 20}
LOOK_SECONDS: Final = 1.0
PATIENCE: Final = QUEUE_TURNS * (WINDOW + SKEW) + timedelta(minutes=2)
OVER: Final = {JobStatus.POSTED, JobStatus.FAILED}


@dataclass(frozen=True, slots=True)
class Found:
    """What became of the posts, and what TikTok saw."""

    workers: int
    seconds: float
    posted: int
    attempts_spent: int
    refused_by_tiktok: int
    most_in_a_minute: dict[str, int]
    inits_per_minute: list[int]  # of the run, from its first init

    @property
    def is_kept(self) -> bool:
        """Tell whether all went out and no quota was broken."""
        kept = all(self.most_in_a_minute[name] <= LIMITS[name] for name in LIMITS)
        return kept and not (self.refused_by_tiktok or self.attempts_spent)


def main(
    workers: Annotated[list[int], typer.Option(help="One run for each.")] = [1, 4],  # noqa: B006  typer copies it
    posts: Annotated[int, typer.Option(help="Due at once.")] = 12,
) -> None:
    """Run, print what was found, and fail if a quota was broken."""
    found = [asyncio.run(_run(count, posts)) for count in workers]
    for each in found:
        for name, value in asdict(each).items():
            print(f"{name:18} {value}")
        print()
    kept = all(each.is_kept and each.posted == posts for each in found)
    sys.exit(0 if kept else 1)


async def _run(workers: int, posts: int) -> Found:
    async with AsyncExitStack() as stack:
        tiktok = await stack.enter_async_context(_simulator())
        url = await fresh_database(await stack.enter_async_context(postgres()))
        door = InstantTikTok(str(tiktok.base_url))
        env = environment(url, door) | {
            "TIKTOK_CLIENT_KEY": "sandbox_key",
            "TIKTOK_CLIENT_SECRET": "sandbox_secret",
        }
        made = await stack.enter_async_context(bench_container(url))
        await _connect(made, tiktok)
        for _ in range(workers):
            await stack.enter_async_context(program("-m", "app", "worker", env=env))
        await asyncio.sleep(2)  # the workers are up
        began = time.monotonic()
        due = made.clock.now() + timedelta(seconds=1)
        await add_jobs(made, posts, due=due, projects=1)
        jobs = await _over(made, posts)
        seconds = time.monotonic() - began
        calls = (await tiktok.get("/_sandbox/calls")).json()["items"]
    return _found(workers, seconds, jobs, calls)


def _found(
    workers: int, seconds: float, jobs: list[Job], calls: list[dict[str, Any]]
) -> Found:
    moments = {
        name: sorted(each["at"] for each in calls if each["call"] == name)
        for name in LIMITS
    }
    inits = Counter(int((at - moments["init"][0]) // 60) for at in moments["init"])
    return Found(
        workers=workers,
        seconds=round(seconds, 1),
        posted=sum(job.status is JobStatus.POSTED for job in jobs),
        attempts_spent=sum(job.attempts for job in jobs),
        refused_by_tiktok=sum(call["code"] == "rate_limit_exceeded" for call in calls),
        most_in_a_minute={name: _fullest(each) for name, each in moments.items()},
        inits_per_minute=[inits[minute] for minute in range(max(inits) + 1)],
    )


def _fullest(moments: list[float]) -> int:
    """Count the calls in the fullest minute that begins with one."""
    return max(
        (sum(start <= each < start + 60 for each in moments) for start in moments),
        default=0,
    )


async def _over(made: Container, posts: int) -> list[Job]:
    """Wait until all have ended; raises TimeoutError if a turn never comes."""
    async with asyncio.timeout(posts // 6 * 60 + PATIENCE.total_seconds()):
        while True:
            jobs = await made.jobs.list(JobFilter(), limit=posts)
            if len(jobs) == posts and all(job.status in OVER for job in jobs):
                return list(jobs)
            await asyncio.sleep(LOOK_SECONDS)


@asynccontextmanager
async def _simulator() -> AsyncIterator[httpx.AsyncClient]:
    """Start the simulator with its quotas on; it pulls no videos."""
    sandbox = ("-m", "app", "sandbox", "--port", "0")
    async with program(*sandbox, says=True) as running:
        line = await running.first_line()
        url = next(word for word in line.split() if word.startswith("http://"))
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            settings = {"pull": False, "processingSeconds": 1}
            await client.post("/_sandbox/settings", json=settings)
            yield client


async def _connect(made: Container, tiktok: httpx.AsyncClient) -> None:
    person = (await tiktok.post("/_sandbox/accounts", json={})).json()
    now = made.clock.now()
    grant = Grant(
        access_token=person["accessToken"],
        refresh_token=person["refreshToken"],
        access_token_expires_at=_in_days(now, 1),
        refresh_token_expires_at=_in_days(now, 100),
        scopes=tuple(person["scopes"]),
    )
    account = NewAccount(
        project_id="proj_0",
        platform="tiktok",
        open_id=person["openId"],
        grant=grant,
    )
    await made.accounts.put(account, now=now)


def _in_days(now: datetime, days: int) -> datetime:
    return now + timedelta(days=days)


if __name__ == "__main__":
    typer.run(main)
