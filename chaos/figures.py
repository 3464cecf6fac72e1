"""Measure what an earlier version did in each reported case, and what this one does.

    python -m chaos.figures BEFORE [AFTER] [--only WORDS] [--faketime LIBRARY]

BEFORE and AFTER are console scripts. The programs are driven from outside only, by the
environment, signals, HTTP and SQL, so any version works.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import httpx
import typer

from chaos import report
from chaos.mishaps import (
    cut_after_insert,
    foreign_complete,
    foreign_failure,
    full_log,
    restored,
)
from chaos.site import PROJECT, Site, new_site, soon, until
from tests.support.failing_over import Pair
from tests.support.postgres import PostgresServer
from tests.support.sql import execute
from tests.system.programs import SCRIPT

WATCHERS: Final = 1000
STREAMS_OF_A_KEY: Final = 100  # as many as this version accepts
SETTLING: Final = timedelta(seconds=50)
"""How long it may take until all watch."""
ACCEPTED_WITHIN: Final = 20.0  # seconds, or the others are not tried


async def commits_without_disk(site: Site) -> str:
    """Crash a server that does not wait for the disk: its newest commits are lost."""
    await execute(
        site.server.url,
        "ALTER SYSTEM SET wal_writer_delay = '5s'",  # no luck by a flush in time
        "SELECT pg_reload_conf()",
        "ALTER ROLE postgres SET synchronous_commit = off",
    )
    await site.up()
    times = soon(60)
    await site.ask(*times)
    worker = await site.worker()
    await site.taken(20)
    await worker.kill()
    await asyncio.to_thread(site.server.stop_immediate)
    await asyncio.to_thread(site.server.start)
    await site.worker()
    return await site.unconfirmed()


async def switch_over(site: Site) -> str:
    """Let the two hosts of one URL change places while 20 inits are out."""
    standby = PostgresServer(source=site.server)
    await asyncio.to_thread(standby.start)
    try:
        ports = site.server.port, standby.port
        hosts = "&".join(f"host=127.0.0.1:{port}" for port in ports)
        url = f"postgresql+asyncpg://postgres@/postgres?{hosts}"
        site.programs.env["DATABASE_URL"] = f"{url}&target_session_attrs=read-write"
        site.fault("init", kind="drip", seconds_per_byte=0.03)
        await site.up()
        await site.ask(*soon(20))
        await site.worker()
        await site.taken(20)  # and not yet answered
        await asyncio.to_thread(site.server.stop)
        await asyncio.to_thread(site.server.follow, standby)
        await asyncio.sleep(10)  # TikTok answers, both are standbys
        paths = "/readyz", f"/v1/jobs?projectId={PROJECT}"
        ready, jobs = [(await site.send("GET", path)).status_code for path in paths]
        await Pair(site.server, standby).promote()
        told = f"meanwhile `/readyz` answers {ready}, the list {jobs}"
        return f"{await site.unconfirmed()}; {told}"
    finally:
        await asyncio.to_thread(standby.close)


def clock_ahead(ahead: timedelta, *due: timedelta) -> "Scenario":
    """Let a worker run whose clock is ahead."""

    async def scenario(site: Site) -> str:
        if site.faketime is None:
            return "not run: no libfaketime"
        await site.up()
        await site.ask(*(datetime.now(UTC) + each for each in due))
        await site.worker(ahead=ahead)
        await asyncio.sleep(10)
        return f"{len(site.posts())} of {len(due)} early"

    return scenario


async def closed_terminal(site: Site) -> str:
    """Send SIGHUP while three inits are on their way."""
    site.fault("init", kind="drip", seconds_per_byte=0.01)
    await site.up()
    await site.ask(*soon(3))
    worker = await site.worker()
    await site.taken(3)
    worker.process.send_signal(signal.SIGHUP)
    await worker.ended()
    await site.worker()
    return await site.unconfirmed()


async def unreadable_row(site: Site) -> str:
    """Write a value into one due row that this version does not know."""
    await site.up()
    times = soon(6)
    await site.ask(*times)
    await execute(
        site.server.url,
        "UPDATE schedule_jobs SET post = replace(post::text, 'SELF_ONLY', 'NEWER')"
        "::jsonb WHERE asset_id = 'job-0'",
    )
    await site.worker()
    await until(times[0] + timedelta(seconds=15))
    try:
        await site.call("GET", f"/v1/jobs?projectId={PROJECT}")
        listed = 200
    except httpx.HTTPStatusError as error:
        listed = error.response.status_code
    return f"{len(site.posts())} of 5 others posted, the list answers {listed}"


async def refused_writes(site: Site) -> str:
    """Let the database refuse TikTok's id for 4.5 seconds after the init."""
    await site.up()
    await execute(
        site.server.url,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " RAISE insufficient_privilege; END $$",
        "CREATE TRIGGER refuse BEFORE UPDATE ON schedule_jobs FOR EACH ROW WHEN"
        " (NEW.publish_id IS NOT NULL AND OLD.publish_id IS NULL)"
        " EXECUTE FUNCTION refuse()",
    )
    await site.ask(*soon(5))
    await site.worker()
    await site.taken(5)
    await asyncio.sleep(4.5)
    await execute(site.server.url, "DROP TRIGGER refuse ON schedule_jobs")
    return await site.unconfirmed()


async def stopped_without_database(site: Site) -> str:
    """Take the database away during five inits, then send SIGTERM."""
    site.fault("init", kind="drip", seconds_per_byte=0.01)
    await site.up()
    await site.ask(*soon(5))
    worker = await site.worker()
    await site.taken(5)
    await asyncio.to_thread(site.server.stop_immediate)
    await asyncio.sleep(1)
    await worker.stop()
    await asyncio.to_thread(site.server.start)
    await site.worker()
    return await site.unconfirmed()


async def watched(site: Site) -> str:
    """Let a thousand streams watch one project that posts 40 times."""
    await site.up(RUNNER="embedded", RATE_LIMIT_PER_MINUTE="0")
    port = int(site.url.rpartition(":")[2])
    keys = [site.key]
    while len(keys) < WATCHERS // STREAMS_OF_A_KEY:
        keys.append((await site.programs.run("keys", "create")).out.split()[-1])
    watching, times = 0, [each + SETTLING for each in soon(40)]
    await site.ask(*times)
    async with AsyncExitStack() as stack:
        for number in range(WATCHERS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            stack.callback(writer.close)
            writer.write(
                f"GET /v1/jobs/stream?projectId={PROJECT} HTTP/1.1\r\nHost: chaos\r\n"
                f"Authorization: Bearer {keys[number % len(keys)]}\r\n\r\n".encode()
            )
            try:
                async with asyncio.timeout(ACCEPTED_WITHIN):
                    watching += b"200" in await reader.readline()
            except TimeoutError:
                break
            listening = asyncio.create_task(_listen(reader))
            stack.callback(listening.cancel)
        await until(times[0] + timedelta(seconds=14))
        out = sum(post.published_at is not None for post in site.tiktok.sandbox.posts)
    return f"{out} of 40 out within 14 s, {watching} streams accepted"


async def _listen(reader: asyncio.StreamReader) -> None:
    while await reader.read(65536):
        pass


Scenario: TypeAlias = Callable[[Site], Awaitable[str]]
DAYS: Final = [timedelta(days=each) for each in (1, 3, 7, 30, 60, 120, 200)]
MINUTES: Final = [timedelta(minutes=5 + each / 5) for each in range(20)]
SCENARIOS: Final[Sequence[tuple[str, Scenario]]] = (
    ("`synchronous_commit = off`, worker and server killed", commits_without_disk),
    ("planned switch-over, several hosts", switch_over),
    ("a worker's clock a year ahead", clock_ahead(timedelta(days=365), *DAYS)),
    ("ten minutes ahead", clock_ahead(timedelta(minutes=10), *MINUTES)),
    ("one due row cannot be read", unreadable_row),
    ("the database refuses TikTok's id for 4.5 s", refused_writes),
    ("database away, then SIGTERM", stopped_without_database),
    ("SIGHUP during three inits", closed_terminal),
    ("cut off as a Post Now is stored", cut_after_insert),
    ("a server's log is a pipe that nobody reads", full_log),
    ("somebody else's publish completes; ours was not taken", foreign_complete),
    ("somebody else's fails; ours was taken", foreign_failure),
    ("a backup is restored, held as the docs say", restored),
    ("1,000 streams watch one project", watched),
)


def main(
    before: Path,
    after: Path = SCRIPT,
    only: str = "",
    faketime: Annotated[str | None, typer.Option(help="Of libfaketime.so.1.")] = None,
    *,
    write: bool = True,
) -> None:
    """Run each scenario with the earlier version and with this one."""
    rows = dict(report.rows_of("figures"))
    for words, scenario in SCENARIOS:
        if only in words:
            found = [
                asyncio.run(_figure(scenario, script.absolute(), faketime))
                for script in (before, after)
            ]
            rows[words] = f"| {words} | {' | '.join(found)} |"
            print(rows[words], flush=True)
    if write:
        report.write_part("figures", table(rows))


def table(rows: Mapping[str, str]) -> Iterator[str]:
    """Draw a table of the scenarios that have figures, in order."""
    yield "| what happens | before | now |"
    yield "|---|---|---|"
    yield from (rows[words] for words, _ in SCENARIOS if words in rows)


async def _figure(scenario: Scenario, script: Path, faketime: str | None) -> str:
    async with new_site(script, faketime) as site:
        try:
            return await scenario(site)
        except Exception as error:  # noqa: BLE001 - the others go on
            return f"broke: {error!r}"


if __name__ == "__main__":
    typer.run(main)
