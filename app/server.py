"""Serve the HTTP API until told to stop."""

import asyncio
from types import FrameType

import uvicorn

from app.main import create_app
from app.settings import Settings


class _Server(uvicorn.Server):
    """A server that tells the application of a signal before it waits for requests.

    Without this a tick in progress would hold the process for its whole budget, and
    the jobs it has with it.
    """

    def __init__(self, config: uvicorn.Config, stop: asyncio.Event) -> None:
        super().__init__(config)
        self._stop = stop

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Pass the signal on."""
        self._loop.call_soon_threadsafe(self._stop.set)
        super().handle_exit(sig, frame)

    async def startup(self, sockets: object = None) -> None:
        """Remember the loop that the signal has to reach."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)  # type: ignore[arg-type]


def serve(settings: Settings, *, host: str, port: int) -> None:
    """Serve; returns after SIGINT or SIGTERM, once every job is given back."""
    stop = asyncio.Event()
    config = uvicorn.Config(
        create_app(settings, stop=stop),
        host=host,
        port=port,
        log_config=None,  # app.logs has set it up
        access_log=False,  # the application logs requests, with their ids
        server_header=False,
        timeout_keep_alive=30,
    )
    _Server(config, stop).run()
