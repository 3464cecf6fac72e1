"""A thousand endpoints of webhooks, of which a hundred hang.

Events of all of them become due in turn, a hundred a second, and a real `worker` sends
them. How late are those of the endpoints that answer?
"""

import asyncio
import json
import statistics
import time
from datetime import UTC, datetime
from typing import Any, Final
from urllib.request import urlopen

from sqlalchemy import insert
from uuid_utils.compat import uuid7

from app.container import Container
from app.opening import open_vault
from app.store.webhooks.endpoints import WebhookStore
from app.store.webhooks.tables import webhook_events
from bench.figures import Figure, at_most, median
from bench.seeds import bench_container
from bench.servers import (
    environment,
    fresh_database,
    instant_tiktok,
    postgres,
    program,
    until,
)

ENDPOINTS: Final = 1000
HANGING_OF_TEN: Final = 1
EVENTS_PER_SECOND: Final = 100
SECONDS: Final = 30
PATIENCE_SECONDS: Final = 60.0


async def run(rounds: int, quick: bool) -> list[Figure]:
    """Let events happen with none that hangs, and with a tenth of them."""
    seconds = 10 if quick else SECONDS
    figures = list[Figure]()
    async with postgres() as server, instant_tiktok() as tiktok:
        for name, hanging in (("none hangs", 0), ("100 hang", HANGING_OF_TEN)):
            each = list[tuple[float, float, float]]()
            for _ in range(rounds):
                url = await fresh_database(server)
                env = environment(url, tiktok)
                each.append(await _round(url, env, hanging, seconds))
            half, most, cpu = zip(*each, strict=True)
            bar = at_most(2) if hanging else None
            figures += [
                median(f"{name}: half of the others' events within", half, "s"),
                median(f"{name}: the latest of them", most, "s", bar=bar),
                median(f"{name}: CPU of the worker", cpu, "ms/event"),
            ]
    return figures


async def _round(
    url: str, env: dict[str, str], hanging: int, seconds: int
) -> tuple[float, float, float]:
    """Return how late half and all were, and milliseconds of CPU for each event."""
    receiver = program("-m", "bench.receiver", says=True)
    async with bench_container(url) as made, receiver as receiving:
        place = await receiving.first_line()
        await _endpoints(made, place, hanging)
        async with program("-m", "app", "worker", env=env, quiet=True) as worker:
            await asyncio.sleep(5)
            before = worker.cpu_seconds()
            good = await _happen(made, hanging, seconds)

            async def all_came() -> bool:
                return len(await _late(place)) >= good

            await until(all_came, within=PATIENCE_SECONDS, every=0.5)
            cpu = worker.cpu_seconds() - before
        late = await _late(place)
        return statistics.median(late), max(late), 1e3 * cpu / len(late)


async def _endpoints(made: Container, place: str, hanging: int) -> None:
    store, now = (
        WebhookStore(made.database, open_vault(made.settings)),
        made.clock.now(),
    )
    for number in range(ENDPOINTS):
        kind = "hang" if number % 10 < hanging else "ok"
        await store.put(
            f"proj_{number}",
            url=f"{place}/{kind}/{number}",
            secret=None,
            fresh="whsec_" + "A" * 32,
            now=now,
        )


async def _happen(made: Container, hanging: int, seconds: int) -> int:
    """Write an event of each endpoint in turn; return how many will be answered."""
    good, number = 0, 0
    for _ in range(10 * seconds):
        some = range(number, number + EVENTS_PER_SECOND // 10)
        number = some.stop
        good += sum(each % 10 >= hanging for each in some)
        async with made.database.write() as connection:
            rows = [_event(each % ENDPOINTS) for each in some]
            await connection.execute(insert(webhook_events), rows)
        await asyncio.sleep(0.1)
    return good


def _event(project: int) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "id": str(uuid7()),
        "project_id": f"proj_{project}",
        "type": "job.posted",
        "data": {},
        "body": json.dumps({"at": time.time()}),
        "created_at": now,
        "status": "pending",
        "attempts": 0,
        "next_attempt_at": now,
    }


async def _late(place: str) -> list[float]:
    def read() -> bytes:
        with urlopen(f"{place}/_seen") as answer:
            content: bytes = answer.read()
            return content

    found: list[float] = json.loads(await asyncio.to_thread(read))
    return found
