"""Send posts as fast as they are answered.

    python -m bench.load PORT CONNECTIONS SECONDS KEY

Raw asyncio over kept connections, so that the client costs as little as possible.
Prints requests a second and the latencies as JSON.
"""

import asyncio
import json
import statistics
import sys
import time
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Final

import uvloop

_BODY: Final = json.dumps(
    {
        "projectId": "proj_1",
        "assetId": "asset_%019d",
        "assetUrl": "http://127.0.0.1/video.mp4",
        "scheduledFor": f"{datetime.now(UTC) + timedelta(days=7):%Y-%m-%dT%H:%M:%SZ}",
        "post": {"mode": "direct", "title": "Hello", "privacyLevel": "SELF_ONLY"},
    }
).encode()
_HEAD: Final = (
    b"POST /v1/jobs HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer %b\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
)


async def main(port: int, connections: int, seconds: float, key: str) -> None:
    """Send for so long over so many connections."""
    numbers = count(time.time_ns())
    head = _HEAD % (key.encode(), len(_BODY % 0))
    until = time.perf_counter() + seconds
    began = time.perf_counter()
    latencies: list[float] = []

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (sent := time.perf_counter()) < until:
            writer.write(head + _BODY % next(numbers))
            answer = await reader.readuntil(b"\r\n\r\n")
            if b" 201 " not in answer[:16]:
                raise RuntimeError(answer.decode())
            _, _, rest = answer.lower().partition(b"content-length:")
            await reader.readexactly(int(rest.split(b"\r\n", 1)[0]))
            latencies.append(time.perf_counter() - sent)
        writer.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(connection())
    took = time.perf_counter() - began
    p99 = statistics.quantiles(latencies, n=100)[98]
    print(json.dumps({"rate": len(latencies) / took, "p99": p99}))


if __name__ == "__main__":
    given_port, given_connections, given_seconds, given_key = sys.argv[1:]
    uvloop.run(
        main(int(given_port), int(given_connections), float(given_seconds), given_key)
    )
