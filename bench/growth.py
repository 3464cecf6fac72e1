"""Whether a read costs the same with ten thousand rows of everything and with millions.

Two databases of each kind that differ in nothing but their size: a project that has
half of all jobs, the rest in a thousand others, an attempt, an event and a line of
history of each. What is due is the same in both. Reads alternate between them, and
their CPU is compared, ours and the server's: other load affects it least.
`GROWTH_ROWS` and `GROWTH_ROWS_SQLITE` say how many rows are many.
"""

import asyncio
import os
import sqlite3
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from itertools import count, product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from sqlalchemy import insert, make_url, text
from uuid_utils.compat import uuid7

from app.domain.accounts.account import AccountStatus, Grant
from app.domain.jobs.job import FailureReason, JobStatus
from app.store.accounts.account_store import AccountStore
from app.store.accounts.overview import AccountOverviewStore
from app.store.accounts.rows import AccountRows
from app.store.accounts.tables import accounts
from app.store.backlog import BacklogStore
from app.store.db.engine import Database
from app.store.db.migrate import upgrade
from app.store.db.vault import Vault
from app.store.jobs.claims import ClaimStore
from app.store.jobs.confirmations import LEASE, ConfirmationStore
from app.store.jobs.readiness import ReadinessStore
from app.store.jobs.requests.changes import ChangeStore
from app.store.jobs.requests.job_store import JobStore
from app.store.jobs.requests.listing import JobFilter, JobOrder, JobSort
from app.store.jobs.tables import schedule_jobs
from app.store.retention.pruning import FIRST_ID, RetentionStore
from app.store.webhooks.deliveries import DeliveryStore
from app.store.webhooks.endpoints import WebhookStore
from app.store.webhooks.tables import webhook_events
from bench.figures import Figure, at_most, ratio
from bench.servers import execute, fetch, fresh_database, postgres, sessions_ran
from tests.support.factories import job_row, unconfirmed

FEW: Final = 10_000
MANY: Final = {
    "Postgres": int(os.environ.get("GROWTH_ROWS", "5000000")),
    "SQLite": int(os.environ.get("GROWTH_ROWS_SQLITE", "1000000")),
}
QUICK: Final = 20_000
TIMES: Final = 5  # each read, in a row
REPEATS: Final = 4  # of these, in a round: the least counts
SETTLE_SECONDS: Final = 0.001  # until the system has counted what a server did
DUE: Final = 50
PAGE: Final = 50
BIG: Final = "big"
AHEAD: Final = 86400 * 3000  # seconds until the first job that waits is due
NOW: Final = datetime(2026, 6, 1, tzinfo=UTC)
STEP: Final = LEASE + timedelta(seconds=1)  # what was claimed is due again
SORTS: Final = ((JobSort.CREATED_AT, "desc"), (JobSort.SCHEDULED_FOR, "asc"))
BAR: Final = at_most(1.2)
VAULT: Final = Vault([b"b" * 32])

_PAGES: Final = """
SELECT blks_hit + blks_read FROM pg_stat_database WHERE datname = current_database()
"""
_INDEXES: Final = """
SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
AND indexname NOT IN (SELECT conname FROM pg_constraint)
"""

Read = Callable[[datetime], Awaitable[object]]

_SERIES: Final = {
    False: "SELECT n FROM generate_series(1, {count}::bigint) AS n",
    True: "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s"
    " WHERE n < {count}) SELECT n FROM s",
}
_AT: Final = {
    False: "to_timestamp({seconds})",
    True: "strftime('%Y-%m-%d %H:%M:%f000', {seconds}, 'unixepoch')",
}
_HEX: Final = {
    False: "lpad(to_hex(({seconds})::bigint * 1000), 12, '0')",
    True: "printf('%012x', {seconds} * 1000)",
}
_NUMBER: Final = {False: "lpad(n::text, 12, '0')", True: "printf('%012d', n)"}

_JOBS: Final = """
INSERT INTO schedule_jobs (
    id, project_id, platform, asset_id, external_id, asset_url, post, status,
    failure_reason, delivery, scheduled_for, next_attempt_at, post_now, idempotency_key,
    attempts, max_attempts, attempt_number, init_sent_at, publish_id, post_id,
    posted_at, created_at, updated_at)
SELECT {id}, CASE WHEN {count} - n < 100 THEN 'small' WHEN n % 2 = 0 THEN 'big'
    ELSE 'proj_' || n % 1000 END, 'tiktok',
    'asset_' || n, 'ext_' || n, 'https://cdn.example.com/v.mp4', '{{"mode": "direct",
    "privacy_level": "SELF_ONLY"}}', status,
    CASE WHEN status = 'failed' THEN CASE n % 3 WHEN 0 THEN 'auth' WHEN 1 THEN
        'permanent' ELSE 'max_attempts' END END,
    CASE WHEN status = 'posted' THEN 'published' END,
    CASE WHEN status IN ('posted', 'failed') THEN {made} ELSE {later} END,
    CASE WHEN status IN ('posted', 'failed') THEN NULL ELSE {later} END,
    {false}, {number}, 0, 5, 1,
    CASE WHEN status = 'posted' THEN {made} END,
    CASE WHEN status = 'posted' THEN 'pub_' || n END,
    CASE WHEN status = 'posted' THEN 'post_' || n END,
    CASE WHEN status = 'posted' THEN {made} END, {made}, {made}
FROM (SELECT n, CASE WHEN n <= 90 AND n % 2 = 0 THEN 'failed'
        WHEN n <= 90 THEN 'retrying'
        WHEN n * 2 <= {count} THEN 'posted' ELSE 'scheduled' END AS status
    FROM ({series}) AS series) AS numbered
"""
_OTHERS: Final = (
    """
INSERT INTO job_attempts (job_id, number, started_at, finished_at, outcome, decision,
    publish_id)
SELECT {id}, 1, {made}, {made}, 'published', 'posted', 'pub_' || n
FROM ({series}) AS series WHERE n * 2 <= {count}
""",
    """
INSERT INTO job_history (id, job_id, at, kind)
SELECT {id}, {id}, {made}, 'edited' FROM ({series}) AS series
""",
    """
INSERT INTO webhook_events (id, project_id, job_id, type, data, created_at, status,
    attempts, last_attempt_at, last_status)
SELECT {id}, CASE WHEN n % 2 = 0 THEN 'big' ELSE 'proj_' || n % 1000 END, {id},
    'job.posted', '{{}}', {made}, 'delivered', 1, {made}, 204
FROM ({series}) AS series
""",
    """
INSERT INTO tiktok_events (id, dedup_key, event, open_id, publish_id, created_at,
    received_at, body)
SELECT {id}, {id}, 'post.publish.complete', 'user_' || n % 1000, 'pub_' || n, {made},
    {made}, '{{}}'
FROM ({series}) AS series
""",
    """
INSERT INTO accounts (project_id, platform, open_id, scopes, status, access_token,
    refresh_token, access_token_expires_at, refresh_token_expires_at, grant_version,
    connected_at, updated_at)
SELECT CASE n WHEN 1 THEN 'small' WHEN 2 THEN 'big' ELSE 'proj_' || n END, 'tiktok',
    'user_' || n, '',
    CASE WHEN n % 50 = 0 AND n <= 1000 THEN 'reconnect_required' ELSE 'active' END,
    'a', 'r', {tomorrow},
    {later}, 1, {made}, {today}
FROM ({series}) AS series WHERE n <= {count} / 10
""",
)


async def run(rounds: int, quick: bool) -> list[Figure]:
    """Read from both, turn about; of lists, tell of the one that grows most."""
    figures = list[Figure]()
    for kind, urls in (("Postgres", _postgres), ("SQLite", _sqlite)):
        many = QUICK if quick else MANY[kind]
        async with AsyncExitStack() as stack:
            make = await stack.enter_async_context(urls())
            began = time.monotonic()
            small = await stack.enter_async_context(_filled(await make(), FEW))
            large = await stack.enter_async_context(_filled(await make(), many))
            filled = time.monotonic() - began
            print(f"{kind}: {many:,} rows written in {filled:.0f} s")
            reads = await _reads(small), await _reads(large)
            took = await _measured(*reads, rounds)
            work = [
                await _work(*each) for each in zip((small, large), reads, strict=True)
            ]
            figures += _figures(kind, took, work, many)
    return figures


def _figures(
    kind: str,
    took: Mapping[str, tuple[list[float], list[float]]],
    work: Sequence[Mapping[str, int]],
    rows: int,
) -> list[Figure]:
    figures = list[Figure]()
    unit = "pages" if kind == "Postgres" else "instructions"
    lists = {name: each for name, each in took.items() if name.startswith("list ")}
    grown = {name: _growth(each) for name, each in lists.items()}
    worst = max(grown, key=grown.__getitem__)
    shown = {f"{len(lists)} lists, the worst": lists[worst]}
    shown |= {name: each for name, each in took.items() if name not in lists}
    for name, (few, many) in shown.items():
        which = f"{worst}, " if name not in took else ""
        less, more = (each.get(name, each[worst]) for each in work)
        note = f"{which}{statistics.median(many):.2f} ms of CPU with {rows:,} rows,"
        note += f" {more:,} {unit} for {less:,}"
        # A tenth of a millisecond is what the loop and the caches differ by.
        base = [each + 0.1 for each in few]
        figures.append(ratio(f"{kind}: {name}", many, base, bar=BAR, note=note))
    return figures


def _growth(took: tuple[list[float], list[float]]) -> float:
    few, many = took
    return statistics.median(many) / (statistics.median(few) + 0.1)


async def _measured(
    small: Mapping[str, Read], large: Mapping[str, Read], rounds: int
) -> dict[str, tuple[list[float], list[float]]]:
    took: dict[str, tuple[list[float], list[float]]] = {
        name: ([], []) for name in small
    }
    moments = (NOW + turn * STEP for turn in count())
    for turn in range(rounds + 1):  # the first warms up
        for name in small:
            each: tuple[list[float], list[float]] = ([], [])
            for _ in range(REPEATS):
                now = [next(moments) for _ in range(TIMES)]
                for reads, into in zip((small, large), each, strict=True):
                    into.append(await _cpu(reads[name], now))
            if turn:
                for into, milliseconds in zip(took[name], each, strict=True):
                    into.append(min(milliseconds))
    return took


async def _cpu(read: Read, moments: Sequence[datetime]) -> float:
    """Return the milliseconds of CPU that a read takes, here and in Postgres."""
    before, ours = sessions_ran(), time.process_time_ns()
    for now in moments:
        await read(now)
    spent = time.process_time_ns() - ours
    await asyncio.sleep(SETTLE_SECONDS)
    theirs = sum(ran - before.get(pid, 0) for pid, ran in sessions_ran().items())
    return (spent + theirs) / 1e6 / len(moments)


async def _work(database: Database, reads: Mapping[str, Read]) -> dict[str, int]:
    """Count what each read makes the database do, which no other program changes."""
    count_work = _instructions if database.is_sqlite else _pages
    work = dict[str, int]()
    later = NOW + timedelta(days=30)
    for name, read in reads.items():
        seen = [
            await count_work(database, read, later + turn * STEP) for turn in range(3)
        ]
        work[name] = min(seen)
        later += 3 * STEP
    return work


async def _pages(database: Database, read: Read, now: datetime) -> int:
    """Return how many pages Postgres looks at, those of the count itself too."""
    before = await _pages_so_far(database)
    await read(now)
    return await _pages_so_far(database) - before


async def _pages_so_far(database: Database) -> int:
    async with database.write() as connection:
        # What a session has done is told at the end of its transaction.
        await connection.execute(text("SELECT pg_stat_force_next_flush()"))
    async with database.write() as connection:
        return int((await connection.execute(text(_PAGES))).scalar_one())


async def _instructions(database: Database, read: Read, now: datetime) -> int:
    """Return how many instructions SQLite's virtual machine runs, in tens."""
    steps = count()
    for opened in (database.read, database.write):
        async with opened() as connection:
            raw: Any = (await connection.get_raw_connection()).driver_connection
            await raw.set_progress_handler(lambda: next(steps) < 0, 10)
    await read(now)
    return 10 * next(steps)


async def _reads(database: Database) -> dict[str, Read]:
    """Return what is read, by name."""
    reads = {name: _list_of(database, *each) for name, each in _lists().items()}
    jobs, webhooks = JobStore(database), WebhookStore(database, VAULT)
    posted = JobFilter(project_id=BIG, statuses=frozenset({JobStatus.POSTED}))
    job = (await jobs.list(posted, limit=1))[0]
    doubts, late = ConfirmationStore(database), NOW - timedelta(seconds=90)
    lease = timedelta(minutes=2)
    overview = AccountOverviewStore(database, VAULT)
    pairs = AccountStore(database, VAULT)
    outbox = DeliveryStore(database, VAULT, lease=lease, render=_nothing)
    long_ago = NOW - timedelta(days=400)
    required = AccountStatus.RECONNECT_REQUIRED
    return reads | {
        "the ledger of a job": lambda _: jobs.attempts(job.id),
        "the history of a job": lambda _: jobs.history(job.id),
        "what changed of late": lambda _: ChangeStore(database).since(
            late, {BIG, "proj_1"}, limit=500
        ),
        "a claim's next time": lambda _: ClaimStore(database, lease=lease).next_due(),
        "the backlog": lambda now: BacklogStore(database).look(now=now),
        "a claim of the outbox": lambda now: outbox.claim_due(
            now=now, limit=DUE, each=DUE, busy={}
        ),
        "a page of the outbox": lambda _: webhooks.events(
            BIG, limit=PAGE, after_id=None
        ),
        "a claim of confirmations": lambda now: ConfirmationStore(database).claim_due(
            now=now, limit=DUE
        ),
        "a lost init's publish": lambda _: doubts.orphan(job, "user_1", since=late),
        "an account's open posts": lambda _: doubts.without_post_id(
            job, "user_1", since=late
        ),
        "whose a video is": lambda _: doubts.is_known(
            job, "user_1", "post_7", since=late
        ),
        "a claim of pre-checks": lambda now: ReadinessStore(database).claim_due(
            now=now, limit=DUE
        ),
        "a batch to be pruned": lambda _: RetentionStore(database).prune_jobs(
            before=long_ago, after_id=FIRST_ID, limit=500
        ),
        "pairs to be refreshed": lambda _: pairs.list_expiring(
            now=NOW, before=NOW, saved_before=NOW - timedelta(days=30), limit=DUE
        ),
        "a page of accounts": lambda _: overview.page(
            project_id=None, status=required, limit=PAGE
        ),
        "an account's last day": lambda _: overview.posts_since(
            BIG, "tiktok", "user_2", since=late
        ),
    }


def _lists() -> dict[str, tuple[JobFilter, JobOrder]]:
    filters: dict[str, dict[str, Any]] = {
        "all": {},
        **{str(each): {"statuses": frozenset({each})} for each in JobStatus},
        "auth": {"failure_reasons": frozenset({FailureReason.AUTH})},
        "asset": {"asset_id": "asset_500"},
        "externalId": {"external_id": "ext_500"},
        "window": {
            "scheduled_from": NOW + timedelta(seconds=AHEAD + 3600),
            "scheduled_to": NOW + timedelta(seconds=AHEAD + 7200),
        },
    }
    return {
        f"list {project or 'every project'}, {name}, {sort} {direction}": (
            JobFilter(project_id=project, **conditions),
            JobOrder(sort=sort, descending=direction == "desc"),
        )
        for project, (name, conditions), (sort, direction) in product(
            (BIG, None), filters.items(), SORTS
        )
    }


def _list_of(database: Database, which: JobFilter, order: JobOrder) -> Read:
    return lambda _: JobStore(database).list(which, order, limit=PAGE)


@asynccontextmanager
async def _postgres() -> AsyncIterator[Callable[[], Awaitable[str]]]:
    async with postgres() as server:
        yield lambda: fresh_database(server)


@asynccontextmanager
async def _sqlite() -> AsyncIterator[Callable[[], Awaitable[str]]]:
    with TemporaryDirectory() as folder:
        paths = iter(Path(folder) / f"{number}.db" for number in range(2))

        async def make() -> str:
            url = f"sqlite+aiosqlite:///{next(paths)}"
            await asyncio.to_thread(upgrade, url)
            return url

        yield make


@asynccontextmanager
async def _filled(url: str, count: int) -> AsyncIterator[Database]:
    """Fill a database, and give what is due to both alike."""
    lite = url.startswith("sqlite")
    now = int(NOW.timestamp())
    made = f"({now} - ({count} - n))"
    hexed, number = _HEX[lite].format(seconds=made), _NUMBER[lite]
    words = {
        "count": count,
        "series": _SERIES[lite].format(count=count),
        "made": _AT[lite].format(seconds=made),
        "later": _AT[lite].format(
            seconds=f"({now} + {AHEAD} + 60 * (n - {count} / 2))"
        ),
        "today": _AT[lite].format(seconds=now),
        "tomorrow": _AT[lite].format(seconds=f"({now} + 86400)"),
        "false": "0" if lite else "false",
        "number": number,
        # As a UUIDv7, which sorts by its time.
        "id": f"substr({hexed}, 1, 8) || '-' || substr({hexed}, 9, 4)"
        f" || '-7000-8000-' || {number}",
    }
    statements = [each.format(**words) for each in (_JOBS, *_OTHERS)]
    if not lite:
        statements = await _without_indexes(url, statements)
    for statement in statements:
        await _execute(url, statement)
    database = Database(url)
    async with database.write() as connection:
        await connection.execute(insert(schedule_jobs), _due_jobs())
        await connection.execute(insert(webhook_events), _due_events())
        await connection.execute(insert(accounts), _due_accounts())
    if not lite:  # SQLite has no statistics, unless somebody makes some
        await _execute(url, "VACUUM ANALYZE")
    yield database
    await database.close()


async def _without_indexes(url: str, statements: list[str]) -> list[str]:
    """Make indexes after the rows, which is several times as fast."""
    indexes: list[tuple[str, str]] = await fetch(url, _INDEXES)
    drop = [f"DROP INDEX {name}" for name, _ in indexes]
    make = [definition for _, definition in indexes]
    return [*drop, *statements, *make]


def _due_jobs() -> list[dict[str, Any]]:
    later = NOW + timedelta(days=9000)
    ahead: dict[str, object] = {
        "scheduled_for": later,
        "next_attempt_at": later,
        "readiness_at": NOW,
        "project_id": "due",
    }
    return [
        *(unconfirmed(project_id="due", confirm_at=NOW) for _ in range(DUE)),
        *(job_row(JobStatus.SCHEDULED, **ahead) for _ in range(DUE)),
        *(job_row(JobStatus.PROCESSING, project_id=BIG) for _ in range(DUE)),
    ]


def _due_accounts() -> list[dict[str, Any]]:
    grant = Grant(
        access_token="act.due",
        refresh_token="rft.due",
        access_token_expires_at=NOW,
        refresh_token_expires_at=NOW + timedelta(days=180),
        scopes=("video.publish",),
    )
    names = [f"due_{number}" for number in range(DUE)]
    rows, started = AccountRows(VAULT), NOW - timedelta(days=1)
    return [
        {
            **rows.grant(name, "tiktok", grant),
            "project_id": name,
            "platform": "tiktok",
            "open_id": name,
            "status": AccountStatus.ACTIVE,
            "grant_version": 1,
            "connected_at": started,
            "updated_at": started,
        }
        for name in names
    ]


def _due_events() -> list[dict[str, Any]]:
    event = {
        "project_id": "due",
        "type": "job.posted",
        "data": {},
        "body": "{}",
        "created_at": NOW,
        "status": "pending",
        "attempts": 0,
        "next_attempt_at": NOW,
    }
    return [{**event, "id": str(uuid7())} for _ in range(DUE)]


async def _execute(url: str, statement: str) -> None:
    """Run one statement, however long it takes."""
    if not url.startswith("sqlite"):
        await execute(url, statement)
        return

    def run() -> None:
        with closing(sqlite3.connect(make_url(url).database or "")) as connection:
            connection.execute(statement)
            connection.commit()

    await asyncio.to_thread(run)


def _nothing(*_: object) -> bytes:
    raise AssertionError("every event has its body")
