"""A long run: thousands of posts, faults in a fifth of all calls, workers killed."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Final

from sqlalchemy import func, select

from app.container import Container, open_container
from app.domain.jobs.job import FailureReason, Job, JobStatus, NewJob, Transfer
from app.domain.posts.post import Post, PrivacyLevel
from app.sandbox.people import NewAccount as NewPerson
from app.sandbox.people import add_account
from app.sandbox.posts import Post as Taken
from app.sandbox.script import FaultRule
from app.sandbox.settings import merged
from app.settings import Settings
from app.store.jobs.tables import schedule_jobs
from chaos.audit import Found, complaints, noted_changes
from chaos.cells import Database
from chaos.place import COMPRESSED, PUSHED_BYTES, gateway_of, new_account
from chaos.world import World

WORKERS: Final = {Database.POSTGRES: 4, Database.SQLITE: 1}
JOBS_PER_ACCOUNT: Final = 20
SECONDS_BETWEEN_KILLS: Final = 3.0
LOOK_SECONDS: Final = 2.0
AT_ONCE: Final = 16
DOOR: Final = "soak"

SETTINGS: Final[dict[str, Any]] = {
    **COMPRESSED,
    "poll_deadline_seconds": 8,
    "claim_timeout_seconds": 12,
    "http_timeout_seconds": 3,
    "backoff_seconds": "0.5,1,2",
    "max_in_flight": 40,
    "claim_batch_size": 20,
}

POSTING: Final = ("creator_info", "init", "status")
Weather = tuple[tuple[tuple[str, ...], dict[str, Any], float], ...]
WEATHER: Final[Weather] = (
    (POSTING, {"kind": "error", "code": "internal"}, 0.04),
    (POSTING, {"kind": "rate_limit", "retryAfter": 1}, 0.03),
    (POSTING, {"kind": "reset"}, 0.03),
    (POSTING, {"kind": "truncate", "taken": True}, 0.02),
    (POSTING, {"kind": "gateway", "taken": True}, 0.02),
    (POSTING, {"kind": "close"}, 0.02),
    (POSTING, {"kind": "hang"}, 0.005),
    (POSTING, {"kind": "slow", "seconds": 1}, 0.02),
    (POSTING, {"kind": "token_death"}, 0.004),
    (("init",), {"kind": "processing", "failReason": "video_pull_failed"}, 0.05),
    (("init",), {"kind": "processing", "seconds": 9}, 0.02),
    (("token",), {"kind": "error", "code": "internal"}, 0.2),
)
"""Which calls get which fault, and how often: a fifth of all calls in sum."""

CHUNK: Final = ("upload",)
UPLOADS: Final[Weather] = (
    (CHUNK, {"kind": "reset"}, 0.04),
    (CHUNK, {"kind": "reset", "taken": True}, 0.03),
    (CHUNK, {"kind": "cut"}, 0.04),
    (CHUNK, {"kind": "empty", "httpStatus": 503}, 0.05),
    (CHUNK, {"kind": "hang", "taken": True}, 0.01),
    (CHUNK, {"kind": "upload_expired"}, 0.02),
)
"""What is added where chunks are sent."""


@dataclass(frozen=True, slots=True)
class Run:
    """A long run that is asked for."""

    database: Database
    jobs: int
    seed: int
    gateway: bool = False
    push: bool = False  # we upload the videos

    @property
    def workers(self) -> int:
        """Return how many processes work at any time."""
        return WORKERS[self.database]

    def __str__(self) -> str:
        way = " + gateway" * self.gateway + ", push" * self.push
        return f"{self.database}{way}, seed {self.seed}"


@dataclass(frozen=True, slots=True)
class Soaked:
    """What a long run came to."""

    run: Run
    kills: int
    calls: int
    struck: int
    abandoned: int
    ends: Counter[str]
    wrong: Counter[str]

    def lines(self) -> Iterator[str]:
        """Tell it."""
        share = round(100 * self.struck / self.calls)
        yield (
            f"- {self.run}: {self.run.jobs} jobs, workers: {self.run.workers},"
            f" {self.kills} times SIGKILL, {self.abandoned} abandoned claims,"
            f" {self.calls} calls, {share} % of them struck. "
            + ", ".join(f"{number} {end}" for end, number in self.ends.most_common())
            + f". Wrong: {dict(self.wrong) or 'nothing'}."
        )


def ways_compared(results: Sequence[Soaked]) -> Iterator[str]:
    """Say how many pulls and pushes ended in doubt."""
    for push, name in ((False, "pulls"), (True, "pushes")):
        of = [each for each in results if each.run.push is push]
        asked = sum(each.run.jobs for each in of)
        doubtful = sum(
            count
            for each in of
            for end, count in each.ends.items()
            if end.startswith(FailureReason.UNCONFIRMED)
        )
        yield f"- Of {asked} {name} {doubtful} end `unconfirmed`."


async def soak(world: World, run: Run) -> Soaked:
    """Run jobs until all have ended, and judge them."""
    settings = await _settings(world, run)
    world.tiktok.sandbox.apply(
        merged(world.tiktok.sandbox.settings, {"pull": run.gateway, "seed": run.seed}),
        reseed=True,
    )
    async with open_container(Settings(**settings, _env_file=None)) as container:
        if run.gateway:
            world.door.apps[DOOR] = gateway_of(container)
        asked = await _ask(world, container, run)
        _let_it_rain(world, (*WEATHER, *(UPLOADS if run.push else ())))
        kills = await _run(world, container, settings, workers=run.workers)
        await _settle(world)
        found = await _look(world, container, asked)
    return _judged(world, found, run=run, kills=kills)


def _let_it_rain(world: World, weather: Weather) -> None:
    for calls, fault, probability in weather:
        for call in calls:
            rule = {"call": call, "fault": fault, "probability": probability}
            rule["times"] = None
            world.tiktok.sandbox.script.add(FaultRule.model_validate(rule))


async def _settings(world: World, run: Run) -> dict[str, Any]:
    url = (
        world.sqlite.create(world.directory)
        if run.database is Database.SQLITE
        else await world.server.create()
    )
    settings = {**SETTINGS, "tiktok_api_base_url": world.tiktok.url}
    if run.gateway:
        settings["media_base_url"] = f"{world.door.url}/{DOOR}"
    return settings | {"database_url": url}


async def _ask(world: World, container: Container, run: Run) -> list[Job]:
    """Connect the accounts and ask for the posts, over some seconds of due times."""
    now = datetime.now(UTC)
    gate = asyncio.Semaphore(AT_ONCE)

    async def ask(number: int) -> Job:
        async with gate:
            project = f"project_{number // JOBS_PER_ACCOUNT}"
            new = _new_job(world, project, number, push=run.push)
            job, _ = await container.jobs.add(new, now=now)
            return job

    for account in range(-(-run.jobs // JOBS_PER_ACCOUNT)):
        name = f"project_{account}"
        pair = add_account(world.tiktok.sandbox, NewPerson(open_id=name))
        await container.accounts.put(new_account(name, pair, now), now=now)
    return list(await asyncio.gather(*map(ask, range(run.jobs))))


def _new_job(world: World, project: str, number: int, *, push: bool) -> NewJob:
    query = f"?bytes={PUSHED_BYTES}" if push else ""
    return NewJob(
        project_id=project,
        platform="tiktok",
        asset_id=f"asset_{number}",
        asset_url=f"{world.tiktok.url}/_sandbox/video.mp4{query}",
        transfer=Transfer.PUSH if push else Transfer.PULL,
        post=Post(privacy_level=PrivacyLevel.SELF_ONLY, title=f"asset_{number}"),
        scheduled_for=None,
        max_attempts=10,
    )


async def _run(
    world: World, container: Container, settings: dict[str, Any], *, workers: int
) -> int:
    """Keep workers working and kill one every few seconds; return how many died."""
    log = world.directory / "soak.log"
    pool = [await world.starter.start(settings, log=log) for _ in range(workers)]
    kills, began, next_kill = 0, time.monotonic(), SECONDS_BETWEEN_KILLS
    while left := await _left(container):
        await asyncio.sleep(LOOK_SECONDS / 4)
        elapsed = time.monotonic() - began
        if elapsed < next_kill:
            continue
        next_kill = elapsed + world.random.uniform(0.5, 1.5) * SECONDS_BETWEEN_KILLS
        print(f"{elapsed:6.0f} s: {left} jobs left, {kills} kills", flush=True)
        victim = pool.pop(world.random.randrange(workers))
        await victim.kill()
        kills += 1
        pool.append(await world.starter.start(settings, log=log))
    for worker in pool:
        await worker.kill()
    return kills


async def _left(container: Container) -> int:
    over = (JobStatus.POSTED, JobStatus.FAILED)
    statement = select(func.count()).where(schedule_jobs.c.status.not_in(over))
    async with container.database.read() as connection:
        left: int = (await connection.execute(statement)).scalar_one()
    return left


async def _settle(world: World) -> None:
    """Wait for what TikTok has taken and not yet finished."""
    with suppress(TimeoutError):
        async with asyncio.timeout(30):
            posts = world.tiktok.sandbox.posts
            while any(post.in_progress for post in posts):  # noqa: ASYNC110
                await asyncio.sleep(LOOK_SECONDS / 4)


async def _look(
    world: World, container: Container, asked: Sequence[Job]
) -> list[Found]:
    taken: dict[str, list[Taken]] = {}
    for post in world.tiktok.sandbox.posts:
        taken.setdefault(post.title or "", []).append(post)
    changes = await noted_changes(container)
    return [
        Found(
            job=await container.jobs.get(job.id),
            ledger=tuple(await container.jobs.attempts(job.id)),
            changes=tuple(changes.get(job.id, ())),
            posts=tuple(taken.get(job.asset_id, ())),
        )
        for job in asked
    ]


def _judged(world: World, found: Sequence[Found], *, run: Run, kills: int) -> Soaked:
    records = world.tiktok.sandbox.calls.records
    entries = [entry for each in found for entry in each.ledger]
    return Soaked(
        run=run,
        kills=kills,
        calls=len(records),
        struck=sum(record.fault is not None for record in records),
        abandoned=sum(entry.outcome == "abandoned" for entry in entries),
        ends=Counter(str(each.end) for each in found),
        wrong=Counter(chain.from_iterable(map(complaints, found))),
    )
