"""The service under demonstration: real processes, a real SQLite file, real sockets."""

import asyncio
import os
import socket
import sys
from pathlib import Path
from typing import Any, Final

import httpx

COMPRESSED: Final = {
    "POLL_INTERVAL_SECONDS": "0.5",
    "POLL_DEADLINE_SECONDS": "5",
    "CLAIM_TIMEOUT_SECONDS": "6",
    "BACKOFF_SECONDS": "1,2,4",
    "HTTP_TIMEOUT_SECONDS": "5",
    "UPLOAD_WHOLE_BYTES": "1000000",
    "UPLOAD_CHUNK_BYTES": "500000",
}
"""The demo's times; in production a poll takes 5 s, its deadline 90, a lease 300."""

_START_SECONDS: Final = 240


class Service:
    """One ``tiktok-scheduler serve``, started, killed and started again."""

    def __init__(self, *, directory: Path, tiktok: str) -> None:
        self._directory = directory
        self._port = _free_port()
        self._process: asyncio.subprocess.Process | None = None
        self._env = {
            **{key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ},
            **COMPRESSED,
            "DATABASE_URL": f"sqlite+aiosqlite:///{directory / 'demo.db'}",
            "TIKTOK_API_BASE_URL": tiktok,
            "TIKTOK_AUTHORIZE_URL": f"{tiktok}/v2/auth/authorize/",
            "TIKTOK_REDIRECT_URI": (
                f"http://127.0.0.1:{self._port}/oauth/tiktok/callback"
            ),
            "TIKTOK_CLIENT_KEY": "sandbox_key",
            "TIKTOK_CLIENT_SECRET": "sandbox_secret",
            "UPLOAD_HOSTS": "127.0.0.1",
            "ALLOW_PRIVATE_URLS": "true",
            "LOG_LEVEL": "warning",
        }
        self.api = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self._port}", trust_env=False, timeout=60
        )

    async def start(self) -> None:
        """Start and wait until it answers; the first start makes an API key."""
        if "authorization" not in self.api.headers:
            key = await self._run("keys", "create", "--name", "demo")
            self.api.headers["authorization"] = f"Bearer {key.strip()}"
        log = (self._directory / "service.log").open("ab")
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "app", "serve", "--port", str(self._port)),
            env=self._env,
            cwd=self._directory,  # a .env of the caller's is none of the demo's
            stdout=log,
            stderr=log,
        )
        log.close()
        async with asyncio.timeout(_START_SECONDS):
            while not await self._ready():  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)

    async def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def close(self) -> None:
        """End it and the connection to it."""
        await self.kill()
        await self.api.aclose()

    async def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        """Send a request of the frontend."""
        return await self.api.post(path, json=body)

    async def _ready(self) -> bool:
        if self._process is not None and self._process.returncode is not None:
            log = (self._directory / "service.log").read_text()[-2000:]
            raise RuntimeError(f"the service ended unexpectedly:\n{log}")
        try:
            return (await self.api.get("/readyz")).is_success
        except httpx.TransportError:
            return False

    async def _run(self, *arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "app", *arguments),
            env=self._env,
            cwd=self._directory,
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"{' '.join(arguments)} failed")
        return output.decode()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
