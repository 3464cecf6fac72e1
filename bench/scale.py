"""What happens at TikTok's own size: all of its posts, on one Postgres and on several.

First the costs are measured, on a real Postgres here: CPU and WAL of a post, of its
creation and of a refresh, and the bytes of a waiting job. Then `simulate` uses them, a
simulation of discrete events that is the same for the same costs and seed: posts fall
due all the time and many of them on the full quarter of an hour, jobs are made, tokens
are refreshed. Accounts are spread over the databases by a hash: nothing in a post
crosses accounts but the app's own cap.
"""

import asyncio
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from heapq import heapify, heappop, heappush, heapreplace
from random import Random
from typing import Final

import asyncpg

from app.container import Container
from app.store.db.metadata import QUEUE
from bench.figures import Figure
from bench.posting_worker import posting_worker
from bench.race import postgres_cpu
from bench.seeds import account, add_accounts, add_jobs, bench_container, post
from bench.servers import execute, fresh_database, instant_tiktok, libpq_url, postgres

POSTS_PER_SECOND: Final = 400  # TikTok as a whole, roughly
ACCOUNTS: Final = 5_000_000
WAITING: Final = 40_000_000  # scheduled a bit more than a day ahead
REFRESH_EVERY: Final = timedelta(hours=2)
ON_THE_QUARTER: Final = 0.1
"""How many of a quarter of an hour's posts are scheduled for its first minute."""

SECONDS: Final = 120.0
"""How long is simulated, from a full quarter of an hour on."""

CORES: Final = 8  # of each database's machine
PAGES_IN_MEMORY: Final = 48 * 2**30  # bytes of its 64 GiB
READ_SECONDS: Final = 0.0002  # of a page from an SSD; it holds up one core meanwhile
CALL_SECONDS: Final = 0.4  # of each call to TikTok
POLL_SECONDS: Final = 5.0
VISITS: Final = 4
"""A post's durable writes: claim, mark before the init, publish_id, end."""

VACUUM_AT: Final = float(QUEUE["autovacuum_vacuum_scale_factor"])
PAGE_BYTES: Final = 8192
FAN_OUT: Final = 200  # entries of an index's page, of 40 bytes each
DATABASES: Final = (1, 2, 4, 8)
GIB: Final = 2**30


@dataclass(frozen=True, slots=True)
class Costs:
    """What one of each takes of Postgres: seconds of CPU, bytes of WAL, bytes kept."""

    post: float
    creation: float
    refresh: float
    post_wal: float
    creation_wal: float
    refresh_wal: float
    job_bytes: float  # of the row and its index entries
    index_bytes: float  # of these, the index entries
    account_bytes: float
    indexes: int  # that a waiting job has an entry in
    dead_rows: float  # that a post leaves behind


@dataclass(slots=True)
class Machine:
    """One Postgres: its cores, each with the time at which it is free."""

    cores: list[float]
    busy: float = 0.0

    def serve(self, now: float, seconds: float) -> float:
        """Take the next free core; return when it is done."""
        begin = max(now, self.cores[0])
        heapreplace(self.cores, begin + seconds)
        self.busy += seconds
        return begin + seconds


@dataclass(slots=True)
class Run:
    """What came of a simulation."""

    databases: int
    late: list[float] = field(default_factory=list)  # seconds from due to the init
    waited: list[float] = field(default_factory=list)  # of refreshes, for the database
    cores: float = 0.0  # in use on average, of the busiest database

    def within(self, share: float, of: list[float]) -> float:
        """Return the seconds that so large a share took at most."""
        return sorted(of)[math.ceil(share * len(of)) - 1]


def simulate(costs: Costs, databases: int, *, seed: int, scale: float = 1.0) -> Run:
    """Let everything happen that falls due in `SECONDS`; ``scale`` thins all of it."""
    random, run = Random(seed), Run(databases)
    machines = [Machine([0.0] * CORES) for _ in range(databases)]
    reads = READ_SECONDS * (costs.indexes + 1) * _missing(costs, databases)
    # (when, number, machine, kind, visits so far, due)
    events = [
        (at, number, random.randrange(ACCOUNTS) % databases, kind, 0, at)
        for number, (at, kind) in enumerate(_arrivals(random, scale))
    ]
    heapify(events)
    own = {"post": costs.post / VISITS, "creation": costs.creation}
    own["refresh"] = costs.refresh / 2
    while events:
        now, number, which, kind, visit, due = heappop(events)
        cold = reads if visit == 0 else 0.0  # later visits find the pages in memory
        done = machines[which].serve(now, own[kind] / scale + cold / scale)
        if kind == "post" and visit == 1:  # marked: the init goes out
            run.late.append(done - due - CALL_SECONDS)
        if kind == "refresh":
            run.waited.append(done - now)
        if (pause := _pause(kind, visit)) is not None:
            heappush(events, (done + pause, number, which, kind, visit + 1, due))
    run.cores = max(each.busy for each in machines) / SECONDS
    return run


def _arrivals(random: Random, scale: float) -> Iterator[tuple[float, str]]:
    """Yield what comes from outside: evenly, and many posts in the first minute."""
    even = {
        "post": POSTS_PER_SECOND * (1 - ON_THE_QUARTER),
        "creation": POSTS_PER_SECOND,
        "refresh": ACCOUNTS / REFRESH_EVERY.total_seconds(),
    }
    for kind, rate in even.items():
        for _ in range(int(rate * SECONDS * scale)):
            yield random.uniform(0, SECONDS), kind
    for _ in range(int(ON_THE_QUARTER * POSTS_PER_SECOND * 900 * scale)):
        yield 0.0, "post"  # they are all due at :00


def _pause(kind: str, visit: int) -> float | None:
    """Return the seconds until something needs the database again; None: never."""
    if kind == "post" and visit < VISITS - 1:
        return POLL_SECONDS if visit == VISITS - 2 else CALL_SECONDS
    return CALL_SECONDS if kind == "refresh" and visit == 0 else None


def _missing(costs: Costs, databases: int) -> float:
    """Return which share of the pages lies on the disk only."""
    held = WAITING * costs.job_bytes + ACCOUNTS * costs.account_bytes
    return max(0.0, 1 - PAGES_IN_MEMORY * databases / held)


async def run(rounds: int, quick: bool) -> list[Figure]:  # noqa: ARG001  every bench takes it
    """Measure the costs, then simulate with them."""
    async with postgres() as server:
        costs = await _measured(server, 200 if quick else 2000)
    made = [*_costs(costs), *_sizes(costs)]
    for count in DATABASES:
        ran = simulate(costs, count, seed=1, scale=0.1 if quick else 1.0)
        made += _outcome(ran)
    return made


def _costs(costs: Costs) -> Iterator[Figure]:
    here = "measured here"
    for name, seconds, wal in (
        ("a post", costs.post, costs.post_wal),
        ("its creation", costs.creation, costs.creation_wal),
        ("a refresh", costs.refresh, costs.refresh_wal),
    ):
        yield Figure(f"Postgres' CPU of {name}", 1e3 * seconds, "ms", note=here)
        yield Figure(f"WAL of {name}", wal / 1024, "KiB", note=here)
    yield Figure("a waiting job", costs.job_bytes, "bytes", note="row and indexes")
    yield Figure("an account and its quota", costs.account_bytes, "bytes", note=here)


def _sizes(costs: Costs) -> Iterator[Figure]:
    """Tell what grows with the number of jobs and accounts."""
    refreshes = ACCOUNTS / REFRESH_EVERY.total_seconds()
    yield Figure("refreshes", refreshes, "a second", note="5 M accounts, every 2 h")
    jobs = WAITING * costs.job_bytes / GIB
    yield Figure("40 M waiting jobs", jobs, "GiB")
    accounts = ACCOUNTS * costs.account_bytes / GIB
    yield Figure("5 M accounts and their quotas", accounts, "GiB")
    depth = math.ceil(math.log(WAITING / FAN_OUT, FAN_OUT)) + 1
    yield Figure("depth of the index of due jobs", depth, "pages", note="3 with 1 M")
    wal = POSTS_PER_SECOND * (costs.post_wal + costs.creation_wal)
    wal += refreshes * costs.refresh_wal
    yield Figure("WAL, pages already in it", wal / 2**20, "MiB/s")
    # The first write to a page after a checkpoint carries all of it.
    whole = PAGE_BYTES * (2 * POSTS_PER_SECOND * (costs.indexes + 1) + 2 * refreshes)
    yield Figure(
        "WAL, each page written for the first time", (wal + whole) / 2**20, "MiB/s"
    )
    dead = POSTS_PER_SECOND * costs.dead_rows
    yield Figure("dead rows of jobs", dead, "a second", note="what autovacuum removes")
    every, read = VACUUM_AT * WAITING / dead, WAITING * costs.index_bytes / GIB
    note = f"at {VACUUM_AT:.0%} of the rows; each reads {read:.0f} GiB of indexes"
    yield Figure("autovacuum of the jobs, one each", every, "s", note=note)
    cpu = POSTS_PER_SECOND * (costs.post + costs.creation) + refreshes * costs.refresh
    most = POSTS_PER_SECOND * CORES / cpu
    note = f"{CORES} cores, everything in memory"
    yield Figure("one Postgres' CPU ends at", most, "posts/s", note=note)


def _outcome(ran: Run) -> Iterator[Figure]:
    name = f"{ran.databases} database" + "s" * (ran.databases > 1)
    due = "of 36,000 due at once and 360 a second"
    half, most = ran.within(0.5, ran.late), ran.within(0.99, ran.late)
    yield Figure(f"{name}: half of the inits within", half, "s", note=due)
    yield Figure(f"{name}: 99 % of the inits within", most, "s", note=due)
    wait = ran.within(0.99, ran.waited)
    yield Figure(f"{name}: 99 % of a refresh's writes within", wait, "s")
    yield Figure(f"{name}: cores of the busiest in use", ran.cores, f"of {CORES}")


async def _measured(server: str, count: int) -> Costs:
    """Measure what one of each takes of a Postgres."""
    url = await fresh_database(server)
    async with instant_tiktok() as tiktok:
        worker = posting_worker(
            url,
            tiktok,
            count,
            in_flight=200,
            poll_seconds=0.1,
            head_start=6 + count / 1000,
        )
        async with worker as posting:
            before = await _spent(server, url)
            await posting.all_posted(every=0.2)
            await asyncio.sleep(1.5)  # statistics come a second late
            posted = [each / count for each in await _since(before, server, url)]
    url = await fresh_database(server)
    async with bench_container(url) as made:
        await add_accounts(made, count)
        before = await _spent(server, url)
        await _create(made, count)
        created = [each / count for each in await _since(before, server, url)]
        before = await _spent(server, url)
        await _refresh(made, count)
        refreshed = [each / count for each in await _since(before, server, url)]
        due = made.clock.now() + timedelta(days=1)
        await add_jobs(made, 10 * count, due=due)
    jobs, entries, accounts, indexes = await _kept(url)
    return Costs(
        post=posted[0],
        creation=created[0],
        refresh=refreshed[0],
        post_wal=posted[1],
        creation_wal=created[1],
        refresh_wal=refreshed[1],
        job_bytes=jobs / (11 * count),
        index_bytes=entries / (11 * count),
        account_bytes=accounts / count,
        indexes=indexes,
        dead_rows=posted[2],
    )


async def _create(made: Container, count: int) -> None:
    due = made.clock.now() + timedelta(hours=1)
    now = made.clock.now()
    for start in range(0, count, 50):  # as many callers at a time
        asked = (
            made.jobs.add(post(each, asset=count + each, due=due), now=now)
            for each in range(start, min(start + 50, count))
        )
        await asyncio.gather(*asked)


async def _refresh(made: Container, count: int) -> None:
    """Do what a refresh writes: the lease, the new pair, the end of the lease."""
    for number in range(count):
        now = made.clock.now()
        known = await made.accounts.get(f"proj_{number}", "tiktok")
        where = known.project_id, known.platform
        await made.accounts.acquire_refresh_lease(
            *where,
            grant_version=known.grant_version,
            token="lease",
            now=now,
            until=now + timedelta(seconds=30),
        )
        await made.accounts.save_refreshed(known, account(number, now).grant, now=now)
        await made.accounts.release_refresh_lease(*where, token="lease")


async def _since(before: list[float], server: str, url: str) -> list[float]:
    after = await _spent(server, url)
    return [late - early for late, early in zip(after, before, strict=True)]


async def _spent(server: str, url: str) -> list[float]:
    """Return the server's CPU seconds, its bytes of WAL, and the rows replaced."""
    connection = await asyncpg.connect(libpq_url(url))
    try:
        wal = await connection.fetchval(
            "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"
        )
        replaced = await connection.fetchval(
            "SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'schedule_jobs'"
        )
    finally:
        await connection.close()
    return [await postgres_cpu(server), float(wal), float(replaced)]


async def _kept(url: str) -> tuple[float, float, float, int]:
    """Return the bytes of jobs, of their indexes, of accounts, and jobs' indexes."""
    await execute(url, "VACUUM ANALYZE")
    connection = await asyncpg.connect(libpq_url(url))
    try:
        jobs = await connection.fetchval(
            "SELECT pg_total_relation_size('schedule_jobs')"
        )
        entries = await connection.fetchval("SELECT pg_indexes_size('schedule_jobs')")
        accounts = await connection.fetchval(
            "SELECT pg_total_relation_size('accounts')"
            " + pg_total_relation_size('account_quotas')"
        )
        indexes = await connection.fetchval(
            "SELECT count(*) FROM pg_index WHERE indrelid = 'schedule_jobs'::regclass"
            f" AND pg_relation_size(indexrelid) > {2 * PAGE_BYTES}"
        )
    finally:
        await connection.close()
    return float(jobs), float(entries), float(accounts), int(indexes)
