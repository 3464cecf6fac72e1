"""Let the database fail over while posts go out; count what is twice or in doubt."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from app.container import Container, open_container
from app.domain.errors import NotFound, StoreUnavailable
from app.domain.jobs.job import Job, JobStatus, NewJob
from app.domain.posts.post import Post, PrivacyLevel
from app.sandbox.people import NewAccount as NewPerson
from app.sandbox.people import add_account
from app.settings import Settings
from chaos.place import COMPRESSED, new_account
from chaos.workers import Worker
from chaos.world import World
from tests.support.failing_over import Pair, paired
from tests.support.relay import Relay, relaying
from tests.support.sql import execute

WORKERS: Final = 3
STAYS: Final = WORKERS - 1
"""The worker that stays with the former primary, and dies with it."""

JOBS: Final = 24
LEAD_SECONDS: Final = 8.0
"""Before the first job falls due the standby has to have it, and to stop there."""

AFTER_SECONDS: Final = 1.0
"""Jobs fall due while the standby lags, and so long after."""

PATIENCE_SECONDS: Final = 240.0
SETTINGS: Final[dict[str, Any]] = {
    **COMPRESSED,
    "claim_timeout_seconds": 20,
    "poll_deadline_seconds": 10,
    "backoff_seconds": "30",
    "backoff_cap_seconds": 30,
}
_OVER: Final = frozenset({JobStatus.POSTED, JobStatus.FAILED})


class Kind(StrEnum):
    """What happens to the primary."""

    ASYNC = "it crashes; the standby is asynchronous"
    SYNC = "it crashes; the standby is synchronous"
    SWITCH = "it is stopped: a planned switch-over"
    HEALED = "it hangs, and comes back beside the new one"
    PARTED = "it lives on beside the new one, and one worker stays with it"
    CUT_OFF = "it is cut off from all but one worker, goes on, and crashes with that"


class Route(StrEnum):
    """How workers reach the new primary."""

    HOSTS = "several hosts"
    RELAY = "a relay"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One fail-over."""

    kind: Kind
    route: Route = Route.HOSTS
    lag: float = 2.0  # seconds of commits that the standby lacks
    survivors: int = WORKERS

    def __str__(self) -> str:
        return (
            f"{self.kind}, {self.route}, lag {self.lag:g} s, {self.survivors} survive"
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the jobs of one fail-over."""

    twice: int
    lost: int  # without an end, or without a row although there is a post
    untrue: int
    early: int
    in_doubt: int

    @property
    def wrong(self) -> bool:
        """Tell whether a promise was broken."""
        return bool(self.twice or self.lost or self.untrue or self.early)

    def __str__(self) -> str:
        named = Counter(
            twice=self.twice, lost=self.lost, untrue=self.untrue, early=self.early
        )
        told = [f"**{count} {name}**" for name, count in named.items() if count]
        doubt = [f"{self.in_doubt} in doubt"] if self.in_doubt else []
        return ", ".join([*told, *doubt]) or "all well"


def cases() -> Iterator[Case]:
    """Return every case, in the order in which they are shown."""
    for lag in (0.5, 2.0, 5.0):
        for survivors in (3, 1, 0):
            yield Case(kind=Kind.ASYNC, lag=lag, survivors=survivors)
    for survivors in (3, 1, 0):
        yield Case(kind=Kind.ASYNC, route=Route.RELAY, survivors=survivors)
    for survivors in (3, 1, 0):
        yield Case(kind=Kind.SYNC, survivors=survivors)
    for survivors in (3, 1, 0):
        yield Case(kind=Kind.SYNC, route=Route.RELAY, survivors=survivors)
    for kind in (Kind.SWITCH, Kind.HEALED, Kind.PARTED):
        for route in Route:
            yield Case(kind=kind, route=route)
    yield Case(kind=Kind.CUT_OFF, route=Route.RELAY, lag=5.0, survivors=2)


@dataclass(slots=True)
class Scene:
    """Where one case is run."""

    world: World
    case: Case
    name: str
    pair: Pair
    relay: Relay
    container: Container
    successor: Container  # the same, on the standby
    mutant: str | None
    jobs: list[Job] = field(default_factory=list)
    workers: list[Worker] = field(default_factory=list)

    async def worker(self, *, url: str | None = None) -> None:
        """Start a worker."""
        settings = settings_for(
            self.world, url or url_of(self.case, self.pair, self.relay)
        )
        log = self.world.directory / f"{self.name}.log"
        start = self.world.starter.start
        self.workers.append(await start(settings, log=log, mutant=self.mutant))

    async def workers_live(self) -> None:
        """Wait until each worker has reported that it lives."""
        count = "SELECT count(*) FROM runners"
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await execute(self.pair.primary.url, count) != len(self.workers):
                await execute(self.pair.primary.url, "SELECT pg_sleep(0.1)")

    async def ask(self, lead: float) -> datetime:
        """Create jobs due while the standby lags and after; return since when."""
        now = datetime.now(UTC)
        first = now + timedelta(seconds=lead)
        span = self.case.lag + AFTER_SECONDS
        for number in range(JOBS):
            due = first + timedelta(seconds=span * number / JOBS)
            new = new_job(self.world, self.name, number, due)
            job, _ = await self.container.jobs.add(new, now=now)
            self.jobs.append(job)
        return first

    async def over(self) -> None:
        """Wait until every job in the database has ended."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            await asyncio.sleep(0.5)
            found = [await self.read(job) for job in self.jobs]
            if all(job is not None and job.status in _OVER for job in found):
                return

    async def read(self, job: Job) -> Job | None:
        """Read a job where it has ended, None if there is none any more.

        If the old primary still runs, workers may have stayed with it.
        """
        found: list[Job] = []
        for container in (self.successor, self.container):
            with suppress(NotFound, StoreUnavailable):
                found.append(await container.jobs.get(job.id))
        over = [each for each in found if each.status in _OVER]
        return next(iter(over or found), None)

    async def posting(self) -> None:
        """Wait until half of the posts due by now are sent, on a busy machine too."""
        due = JOBS * self.case.lag / (self.case.lag + AFTER_SECONDS)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.posts()) < due / 2:  # noqa: ASYNC110 - the simulator
                await asyncio.sleep(0.05)

    def posts(self) -> list[Any]:
        """Return what TikTok took."""
        return list(self.world.tiktok.sandbox.posts.of(self.name))


async def live_through(
    world: World,
    case: Case,
    name: str,
    *,
    mutant: str | None = None,
    lead: float = LEAD_SECONDS,
) -> Outcome:
    """Let a database fail over, and return what became of the jobs."""
    while (found := await _live_through(world, case, name, mutant, lead)) is None:
        lead, name = 2 * lead, f"{name}x"  # the machine is busy
    return found


async def _live_through(
    world: World, case: Case, name: str, mutant: str | None, lead: float
) -> Outcome | None:
    async with _scene(world, case, name, mutant) as scene:
        for number in range(WORKERS):
            stays = case.kind in {Kind.PARTED, Kind.CUT_OFF} and number == STAYS
            await scene.worker(url=scene.pair.primary.url if stays else None)
        await scene.workers_live()
        first = await scene.ask(lead)
        if case.kind not in {Kind.SYNC, Kind.SWITCH}:
            await scene.pair.lag()
        wait = (first - datetime.now(UTC)).total_seconds()
        if wait < 0:
            return None  # the standby lagged too late
        if case.kind is Kind.CUT_OFF:
            await asyncio.sleep(wait + case.lag / 4)
            scene.relay.hang()
            wait = -case.lag / 4
        await asyncio.sleep(wait + case.lag)
        await scene.posting()
        await _fail_over(scene)
        if not case.survivors:
            await scene.worker()
        await scene.over()
        await asyncio.sleep(1)  # TikTok ends what it took
        return await _judged(scene)


async def _fail_over(scene: Scene) -> None:
    case, pair = scene.case, scene.pair
    victims = scene.workers[case.survivors :]
    if case.kind is Kind.SWITCH:
        await asyncio.to_thread(pair.primary.stop)
    elif case.kind is Kind.HEALED:
        pair.primary.freeze()
    elif case.kind is not Kind.PARTED:
        await asyncio.to_thread(pair.primary.stop_immediate)
    await asyncio.gather(*(victim.kill() for victim in victims))
    await pair.promote()
    await scene.relay.lead_to(pair.standby.port)
    scene.relay.flows.set()
    if case.kind is Kind.HEALED:
        await asyncio.sleep(8)
        pair.primary.thaw()
        await scene.relay.lead_to(pair.primary.port)
        await asyncio.sleep(3)
        await scene.relay.lead_to(pair.standby.port)


async def _judged(scene: Scene) -> Outcome:
    taken = scene.posts()
    posts = Counter(post.title for post in taken)
    due = {job.asset_id: job.scheduled_for.timestamp() for job in scene.jobs}
    found = [(posts[job.asset_id], await scene.read(job)) for job in scene.jobs]
    return Outcome(
        twice=sum(count > 1 for count, _ in found),
        lost=sum(job is None or job.status not in _OVER for _, job in found),
        untrue=sum(
            job is not None and job.status is JobStatus.POSTED and count != 1
            for count, job in found
            if count < 2
        ),
        early=sum(post.taken_at < due[str(post.title)] for post in taken),
        in_doubt=sum(
            job is not None and job.failure_reason == "unconfirmed" for _, job in found
        ),
    )


@asynccontextmanager
async def _scene(
    world: World, case: Case, name: str, mutant: str | None
) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        synchronous = case.kind is Kind.SYNC
        pair = await stack.enter_async_context(paired(synchronous=synchronous))
        relay = await stack.enter_async_context(relaying(pair.primary.port))
        container, successor = [
            await stack.enter_async_context(
                open_container(Settings(**settings_for(world, url), _env_file=None))
            )
            for url in (url_of(case, pair, relay), pair.standby.url)
        ]
        now = datetime.now(UTC)
        person = add_account(world.tiktok.sandbox, NewPerson(open_id=name))
        await container.accounts.put(new_account(name, person, now), now=now)
        scene = Scene(world, case, name, pair, relay, container, successor, mutant)
        try:
            yield scene
        finally:
            pair.primary.thaw()
            for worker in scene.workers:
                await worker.kill()


def settings_for(world: World, url: str) -> dict[str, Any]:
    """Return a worker's settings."""
    return SETTINGS | {"tiktok_api_base_url": world.tiktok.url, "database_url": url}


def url_of(case: Case, pair: Pair, relay: Relay) -> str:
    """Return the URL by which workers reach the database."""
    if case.route is Route.HOSTS:
        return pair.url
    return f"postgresql://postgres@127.0.0.1:{relay.port}/postgres"


def new_job(world: World, name: str, number: int, due: datetime) -> NewJob:
    """Ask for a post."""
    return NewJob(
        project_id=name,
        platform="tiktok",
        asset_id=f"{name}-{number}",
        asset_url=f"{world.tiktok.url}/_sandbox/video.mp4?n={name}-{number}",
        post=Post(privacy_level=PrivacyLevel.SELF_ONLY, title=f"{name}-{number}"),
        scheduled_for=due,
        max_attempts=5,
    )


async def run(
    world: World,
    chosen: Sequence[Case],
    *,
    side_by_side: int,
    without: str = "failover",
) -> list[tuple[Case, Outcome, Outcome]]:
    """Run cases, without the mechanism and with it."""
    turn = asyncio.Semaphore(side_by_side)

    async def one(number: int, case: Case) -> tuple[Case, Outcome, Outcome]:
        async with turn:
            before = await live_through(world, case, f"b{number}", mutant=without)
            after = await live_through(world, case, f"a{number}")
            print(f"{case}: {before} -> {after}", flush=True)
            return case, before, after

    return list(await asyncio.gather(*(one(*each) for each in enumerate(chosen))))


def table(results: Sequence[tuple[Case, Outcome, Outcome]]) -> Iterator[str]:
    """Draw what was found."""
    doubt = sum(after.in_doubt for _, _, after in results)
    wrong = sum(after.wrong for _, _, after in results)
    jobs = len(results) * JOBS
    yield f"`python -m chaos failover`: {len(results)} cases, each {JOBS} jobs and"
    yield f"{WORKERS} workers. With the mechanism {wrong} cases are wrong, and"
    yield f"{doubt} of {jobs} jobs end in doubt."
    yield ""
    yield "| the primary | by | lag | survivors | without | with |"
    yield "|---|---|---|---|---|---|"
    for case, before, after in results:
        place = f"{case.kind} | {case.route} | {case.lag:g} s | {case.survivors} of 3"
        yield f"| {place} | {before} | {after} |"
