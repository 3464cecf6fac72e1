"""Many streams of changed jobs, read by one process.

    python -m bench.watching SECONDS PORTS KEYS STREAMS PROJECTS

Prints a line once every stream is live, and after so many seconds a JSON object: how
many changes came, and how late the latest, in seconds since the job was written.
"""

import asyncio
import json
import resource
import statistics
import sys
import time
from datetime import datetime
from itertools import cycle
from typing import Final

import uvloop

AT_ONCE: Final = 100  # streams that are opened at a time
_AT: Final = b'"updatedAt":"'


class Seen:
    """What has come over all streams."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self.live = 0
        self.more = asyncio.Event()

    def line(self, line: bytes) -> None:
        """Take a line of a stream."""
        if line.startswith(b"event: ready"):
            self.live += 1
            self.more.set()
        elif line.startswith(b"data: ") and (found := line.find(_AT)) > 0:
            begin = found + len(_AT)
            end = line.index(b'"', begin)
            at = datetime.fromisoformat(line[begin:end].decode())
            self.late.append(time.time() - at.timestamp())


async def main(
    seconds: float, ports: list[int], keys: list[str], streams: int, projects: int
) -> None:
    """Open the streams, and count for so many seconds."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    seen, opening = Seen(), asyncio.Semaphore(AT_ONCE)
    places, turns = cycle(ports), len(ports)
    async with asyncio.TaskGroup() as group:  # ends with the first that is refused
        tasks = [
            group.create_task(
                _watch(
                    next(places),
                    keys[number // turns % len(keys)],
                    number // turns % projects,
                    seen,
                    opening,
                )
            )
            for number in range(streams)
        ]
        while seen.live < streams:
            seen.more.clear()
            await seen.more.wait()
        print("there", flush=True)
        seen.late.clear()
        await asyncio.sleep(seconds)
        print(json.dumps(_told(seen.late)), flush=True)
        for task in tasks:
            task.cancel()


def _told(late: list[float]) -> dict[str, float]:
    return {
        "events": len(late),
        "half": statistics.median(late),
        "most": statistics.quantiles(late, n=100)[-1],
        "latest": max(late),
    }


async def _watch(
    port: int, key: str, project: int, seen: Seen, opening: asyncio.Semaphore
) -> None:
    async with opening:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"GET /v1/jobs/stream?projectId=proj_%d HTTP/1.1\r\nHost: bench\r\n"
            b"Authorization: Bearer %b\r\n\r\n" % (project, key.encode())
        )
        status = await reader.readline()
        if b" 200 " not in status:
            raise RuntimeError(status.decode())
    while line := await reader.readline():
        seen.line(line)


if __name__ == "__main__":
    span, given_ports, given_keys, count, of_projects = sys.argv[1:]
    uvloop.run(
        main(
            float(span),
            [int(each) for each in given_ports.split(",")],
            given_keys.split(","),
            int(count),
            int(of_projects),
        )
    )
