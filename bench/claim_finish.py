"""How many no-op jobs one process claims and finishes a second, beside job queues.

Each round starts every program anew on a database of its own, turn about, on one
Postgres with its default configuration. PgQueuer and Procrastinate are given what suits
them best; ours writes more of each job than they do. Beside them the limit that our
statements set: what bare asyncpg needs to run them.
"""

from datetime import timedelta
from typing import Final

from bench import peers
from bench.figures import Figure, at_least, median, ratio
from bench.noop import drained
from bench.replay import copy_of, recorded, replayed
from bench.seeds import add_jobs, bench_container
from bench.servers import execute, fresh_database, postgres

JOBS: Final = 10_000
SLOW_JOBS: Final = 1_500  # for who claims and finishes them one by one
BATCHES: Final = (500, 1000)
BARE: Final = "recorded and run again: no job, no decision, no task"


async def run(rounds: int, quick: bool) -> list[Figure]:
    """Drain queues of the same length; of ours and PgQueuer, the better setting."""
    jobs, slow_jobs = (1_000, 200) if quick else (JOBS, SLOW_JOBS)
    ours, cpu = list[float](), list[float]()
    bare, pgqueuer, procrastinate = list[float](), list[float](), list[float]()
    async with postgres() as server:
        for _ in range(rounds):
            full = await _full(server, jobs)
            each = [await _ours(server, full, jobs, batch) for batch in BATCHES]
            rate, spent = max(each)
            ours.append(rate)
            cpu.append(spent)
            bare.append(await _bare(server, full, jobs))
            if peers.are_installed():
                pgqueuer.append(await peers.pgqueuer(server, jobs))
                procrastinate.append(await peers.procrastinate(server, slow_jobs))
    note = f"{jobs} jobs, ledger row and look for a webhook included"
    figures = [
        median("claim and finish", ours, "jobs/s", note=note),
        median("CPU of the process", cpu, "µs/job"),
        median("the same statements by asyncpg", bare, "jobs/s", note=BARE),
        ratio("to the same statements by asyncpg", ours, bare),
    ]
    if peers.are_installed():
        figures += [
            median("PgQueuer", pgqueuer, "jobs/s"),
            median("Procrastinate", procrastinate, "jobs/s"),
            ratio("to PgQueuer", ours, pgqueuer, bar=at_least(1.0), note="goal 1.3"),
            ratio("to Procrastinate", ours, procrastinate, bar=at_least(25)),
        ]
    return figures


async def _full(server: str, jobs: int) -> str:
    url = await fresh_database(server)
    async with bench_container(url) as made:
        due = made.clock.now() - timedelta(seconds=1)
        await add_jobs(made, jobs, due=due)
    await execute(url, "VACUUM ANALYZE")
    return url


async def _ours(server: str, full: str, jobs: int, batch: int) -> tuple[float, float]:
    took = await drained(await copy_of(full, server), batch=batch)
    if took.jobs != jobs:
        raise AssertionError(f"{took.jobs} of {jobs} jobs were finished")
    return jobs / took.seconds, 1e6 * took.cpu / jobs


async def _bare(server: str, full: str, jobs: int) -> float:
    claims, ends = await recorded(await copy_of(full, server), batch=BATCHES[0])
    return jobs / await replayed(await copy_of(full, server), claims, ends)
