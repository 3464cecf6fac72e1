"""Whether a claim of 100 costs the same with millions of finished jobs behind it.

Two databases of one Postgres that differ only in their finished jobs. Claims alternate
between them, so that other load on the machine affects both.
"""

import statistics
import time
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import make_url

from app.domain.jobs.backoff import RetryPolicy
from app.machine.clock import SystemClock
from app.store.db.engine import Database
from app.store.jobs.claims import ClaimStore
from bench.figures import Figure, at_most, median, ratio
from bench.seeds import add_jobs, bench_container
from bench.servers import execute, fresh_database, postgres

FEW: Final = 1_000
MANY: Final = 5_000_000
LIMIT: Final = 100
CLAIMS: Final = 40  # of each database, in a round
_CLOCK: Final = SystemClock()

# Keys that grow are quickly indexed; no claim looks at them.
_OVER: Final = """
    INSERT INTO schedule_jobs (
        id, project_id, platform, asset_id, asset_url, post, status, scheduled_for,
        post_now, idempotency_key, attempts, max_attempts, attempt_number,
        init_sent_at, publish_id, publish_started_at, delivery, post_id, posted_at,
        created_at, updated_at
    )
    SELECT lpad(n::text, 36, '0'), 'proj_' || n / 100000, 'tiktok', 'asset_' || n,
        'https://cdn.example.com/v.mp4', '{{"mode": "direct"}}', 'posted', at,
        false, lpad(n::text, 32, '0'), 0, 5, 1,
        at, 'v_pub_url~v2.' || n, at, 'published', n::text, at, at, at
    FROM generate_series(1, {count}) AS n,
        LATERAL (SELECT timestamptz '2020-01-01' + n * interval '1 second') AS t (at)
"""


async def run(rounds: int, quick: bool) -> list[Figure]:
    """Claim from both, turn about."""
    many = 100_000 if quick else MANY
    few_ms, many_ms = list[float](), list[float]()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(postgres())
        short = await _queue(stack, server, over=FEW, rounds=rounds)
        long = await _queue(stack, server, over=many, rounds=rounds)
        for _ in range(rounds + 1):  # the first warms up
            one, other = list[float](), list[float]()
            for _ in range(CLAIMS):
                one.append(await _claim(short))
                other.append(await _claim(long))
            few_ms.append(statistics.median(one))
            many_ms.append(statistics.median(other))
    few_ms, many_ms = few_ms[1:], many_ms[1:]
    return [
        median(f"claim of {LIMIT}, {FEW:,} jobs over", few_ms, "ms"),
        median(f"claim of {LIMIT}, {many:,} jobs over", many_ms, "ms"),
        ratio("many to few", many_ms, few_ms, bar=at_most(1.2)),
    ]


async def _queue(
    stack: AsyncExitStack, server: str, *, over: int, rounds: int
) -> ClaimStore:
    """Make a database with so many jobs over, and enough that are due."""
    url = await fresh_database(server)
    name = make_url(url).database
    await execute(url, _OVER.format(count=over))
    due = (rounds + 1) * CLAIMS * LIMIT
    async with bench_container(url) as made:
        await add_jobs(made, due, due=made.clock.now() - timedelta(seconds=1))
    await execute(url, "VACUUM ANALYZE")
    # Else the disk's wait for each commit would hide what a claim reads.
    await execute(url, f"ALTER DATABASE {name} SET synchronous_commit = off")
    database = Database(url)
    stack.push_async_callback(database.close)
    return ClaimStore(database, lease=timedelta(hours=1))


async def _claim(claims: ClaimStore) -> float:
    """Return the milliseconds that one claim took."""
    now: datetime = _CLOCK.now()
    began = time.perf_counter()
    claimed = await claims.claim_due(
        now=now,
        limit=LIMIT,
        worker="bench",
        retry=RetryPolicy(),
        random=lambda: 0.0,
    )
    if claimed.taken_over:
        raise AssertionError("a claim was abandoned")
    took = time.perf_counter() - began
    if len(claimed.jobs) != LIMIT:
        raise AssertionError(f"{len(claimed.jobs)} of {LIMIT} jobs were claimed")
    return 1000 * took
