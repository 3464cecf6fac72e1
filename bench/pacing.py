"""What keeping TikTok's quotas costs, and what it saves: `python -m bench.pacing`.

Lone posts: many accounts with one post each, with and without pacing in turn, in this
one process; the simulator runs in another. Twelve posts: all due at once on one
account, against the simulator's own quotas, in real windows of a minute.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import httpx
from sqlalchemy import func, select

from app.assembly import House, assembled
from app.domain.account import Grant, NewAccount
from app.domain.job import JobStatus, NewJob
from app.domain.outcome import PutOff
from app.domain.post import Post, PrivacyLevel
from app.domain.quota import QuotaCall
from app.logs import configure_logging
from app.pacing.pacer import Asker
from app.settings import LogFormat, load
from app.store.jobs import JobFilter
from app.store.migrate import upgrade
from app.store.tables import schedule_jobs

RESULTS: Final = Path(__file__).parent / "results" / "pacing.json"
BAR: Final = 1.10
"""How much CPU a paced lone post may take, where one without pacing takes 1."""

KEY: Final = "A" * 43 + "="
LIMITS: Final = {"init": 6, "status": 30, "creator_info": 20}


@dataclass(frozen=True, slots=True)
class Lone:
    """CPU of this process per post, in milliseconds: one figure per round."""

    accounts: int
    paced_ms: list[float]
    unpaced_ms: list[float]
    ratio: float  # of the medians


@dataclass(frozen=True, slots=True)
class Twelve:
    """Twelve posts due at once on one account."""

    seconds: float
    posted: int
    attempts_spent: int
    refused_by_tiktok: int
    most_in_a_minute: dict[str, int]


async def main() -> None:
    """Measure, print a table and write the figures down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--skip-twelve", action="store_true")
    chosen = parser.parse_args()
    configure_logging(LogFormat.CONSOLE, "warning")
    async with simulator() as tiktok:
        lone = await lone_posts(tiktok, chosen.accounts, chosen.rounds)
        twelve = None if chosen.skip_twelve else await twelve_posts(tiktok)
    figures = {"lone": asdict(lone), "twelve": twelve and asdict(twelve)}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(figures, indent=2) + "\n")
    show(lone, twelve)


async def lone_posts(tiktok: httpx.AsyncClient, accounts: int, rounds: int) -> Lone:
    """Measure rounds with and without pacing, turn about, each on a fresh database."""
    await tiktok.post("/_sandbox/settings", json={"processingSeconds": 0})
    spent = dict[bool, list[float]]()
    await one_round(tiktok, 50, paced=True)  # what is loaded once counts for nobody
    for number in range(2 * rounds):
        paced = number % 2 == 0
        cpu = await one_round(tiktok, accounts, paced=paced)
        spent.setdefault(paced, []).append(1000 * cpu / accounts)
    middle = {paced: statistics.median(each) for paced, each in spent.items()}
    return Lone(accounts, spent[True], spent[False], middle[True] / middle[False])


async def one_round(tiktok: httpx.AsyncClient, accounts: int, *, paced: bool) -> float:
    """Return the seconds of CPU that it took to post once on each account."""
    async with process(tiktok, poll_interval_seconds=0.2) as house:
        if not paced:
            house.pacer.place = at_once  # type: ignore[method-assign]
        await connect(house, tiktok, accounts)
        for account in range(accounts):
            await add_job(house, tiktok, f"proj_{account}")
        began = time.process_time()
        await run_until_posted(house, accounts)
        return time.process_time() - began


async def at_once(asker: Asker, call: QuotaCall) -> PutOff | datetime:  # noqa: ARG001
    """Give every call its turn, unasked."""
    return datetime.max.replace(tzinfo=UTC)


async def twelve_posts(tiktok: httpx.AsyncClient) -> Twelve:
    """Let twelve posts fall due at once, and read at TikTok's door what came."""
    await tiktok.post("/_sandbox/settings", json={"processingSeconds": 1})
    async with process(tiktok) as house:
        await connect(house, tiktok, 1)
        await tiktok.delete("/_sandbox/calls")
        for _ in range(12):
            await add_job(house, tiktok, "proj_0")
        began = time.monotonic()
        await run_until_posted(house, 12)
        seconds = time.monotonic() - began
        jobs = await house.jobs.list(JobFilter(), limit=12)
    calls = (await tiktok.get("/_sandbox/calls")).json()["items"]
    return Twelve(
        seconds=seconds,
        posted=sum(job.status is JobStatus.POSTED for job in jobs),
        attempts_spent=sum(job.attempts for job in jobs),
        refused_by_tiktok=sum(call["code"] == "rate_limit_exceeded" for call in calls),
        most_in_a_minute={
            name: most_in_a_minute([it["at"] for it in calls if it["call"] == name])
            for name in LIMITS
        },
    )


def most_in_a_minute(moments: list[float]) -> int:
    """Count the calls in the fullest minute that begins with one."""
    return max(
        (sum(start <= each < start + 60 for each in moments) for start in moments),
        default=0,
    )


def show(lone: Lone, twelve: Twelve | None) -> None:
    """Print the figures."""
    print(f"lone posts on {lone.accounts} accounts, CPU per post")
    for name, each in (("paced", lone.paced_ms), ("unpaced", lone.unpaced_ms)):
        rounds = "  ".join(f"{value:6.2f}" for value in each)
        print(f"  {name:8} {statistics.median(each):6.2f} ms   rounds: {rounds}")
    print(f"  ratio    {lone.ratio:6.3f}      bar: {BAR:.2f}")
    if twelve is not None:
        print("twelve posts due at once on one account, windows of 60 s")
        for name, value in asdict(twelve).items():
            print(f"  {name:18} {value}")


# What both need: a simulator, a process with a fresh database, accounts and jobs.


@asynccontextmanager
async def simulator() -> AsyncIterator[httpx.AsyncClient]:
    """Start the simulator in a process of its own, with its quotas on."""
    command = (sys.executable, "-m", "app", "sandbox", "--port", "0")
    running = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE
    )
    try:
        said = (await running.stdout.readline()).decode() if running.stdout else ""
        url = next(word for word in said.split() if word.startswith("http://"))
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            await client.post("/_sandbox/settings", json={"pull": False})
            yield client
    finally:
        running.terminate()
        await running.wait()


@asynccontextmanager
async def process(
    tiktok: httpx.AsyncClient, **settings: object
) -> AsyncIterator[House]:
    """Put a process together on a fresh SQLite file."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite+aiosqlite:///{folder}/scheduler.db"
        await asyncio.to_thread(upgrade, url)
        chosen = load(
            _env_file=None,
            database_url=url,
            tiktok_api_base_url=str(tiktok.base_url),
            tiktok_client_key="sandbox_key",
            tiktok_client_secret="sandbox_secret",
            token_encryption_keys=KEY,
            allow_private_urls=True,
            **settings,
        )
        async with assembled(chosen) as house:
            yield house


async def connect(house: House, tiktok: httpx.AsyncClient, accounts: int) -> None:
    """Give each of the projects proj_0, proj_1, … a TikTok user."""
    now = house.clock.now()
    later = now + timedelta(days=100)
    for number in range(accounts):
        made = (await tiktok.post("/_sandbox/accounts", json={})).json()
        grant = Grant(
            access_token=made["accessToken"],
            refresh_token=made["refreshToken"],
            access_token_expires_at=later,
            refresh_token_expires_at=later,
            scopes=tuple(made["scopes"]),
        )
        account = NewAccount(
            project_id=f"proj_{number}",
            platform="tiktok",
            open_id=made["openId"],
            grant=grant,
        )
        await house.accounts.put(account, now=now)


async def add_job(house: House, tiktok: httpx.AsyncClient, project_id: str) -> None:
    """Add a post that is due."""
    now = house.clock.now()
    new = NewJob(
        project_id=project_id,
        platform="tiktok",
        asset_id=f"asset_{time.monotonic_ns()}",
        asset_url=f"{tiktok.base_url}/_sandbox/video.mp4",
        post=Post(privacy_level=PrivacyLevel.SELF_ONLY),
        scheduled_for=now,
        max_attempts=5,
    )
    await house.jobs.add(new, now=now)


async def run_until_posted(house: House, count: int) -> None:
    """Run the runner until so many jobs are posted."""
    stop = asyncio.Event()
    running = asyncio.create_task(house.runner.run(stop))
    posted = select(func.count()).where(schedule_jobs.c.status == JobStatus.POSTED)
    done = 0
    while done < count:
        await asyncio.sleep(0.5)  # looked at so seldom, it weighs nothing
        async with house.database.read() as connection:
            done = (await connection.execute(posted)).scalar_one()
    stop.set()
    await running


if __name__ == "__main__":
    asyncio.run(main())
