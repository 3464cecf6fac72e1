"""Serve the HTTP API until told to stop."""

import asyncio
import gc
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn

from app.main import create_app
from app.settings import Settings

LONGEST_GOODBYE_SECONDS: Final = 20
"""How long a client that does not finish may delay a stop."""


class _Server(uvicorn.Server):
    """A server that tells the application of a signal before it waits for requests.

    Without this a tick in progress would hold the process for its whole budget, and
    the jobs it has with it.
    """

    def __init__(self, config: uvicorn.Config, stop: asyncio.Event) -> None:
        super().__init__(config)
        self._stop = stop

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take signals for an order, which is carried out and ends with exit code 0.

        uvicorn would raise them once more at its end, and die of them.
        """
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, self._on_signal, each)
        yield

    def _on_signal(self, sig: int) -> None:
        self._stop.set()
        self.handle_exit(sig, None)


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
        timeout_graceful_shutdown=LONGEST_GOODBYE_SECONDS,
    )
    gc.freeze()  # what was made by now stays, and need not be searched for garbage
    _Server(config, stop).run()
