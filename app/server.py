"""Serve the HTTP API until told to stop."""

import asyncio
import gc
import logging
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import structlog
import uvicorn
from starlette.types import ASGIApp

from app.machine.descriptor_limits import raise_soft_limit
from app.machine.descriptors import Descriptors, share_out
from app.main import create_app
from app.serving import listeners
from app.serving.connections import Connections, Limits
from app.serving.protocol import bounded
from app.settings import Settings
from app.stopping import LastExit, nobody_calls, on_signal

log = structlog.get_logger(__name__)

KEEP_ALIVE_SECONDS: Final = 620
"""How long a connection may rest between two requests.

Longer than any proxy in front keeps it: who closes first may close on a request that
is on its way. nginx keeps one for 60 s, AWS' load balancer for 60 s, Google's for 600.
"""

LONGEST_GOODBYE_SECONDS: Final = 5
"""How long a client that does not finish may delay a stop."""

BACKLOG: Final = 2048
"""How many may wait to be taken in, if there are descriptors for all of them."""


class Server(uvicorn.Server):
    """A server that tells the application of a signal before it waits for requests.

    Without this a tick in progress would hold the process for its whole budget, and
    the jobs it has with it.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        connections: Connections,
        *,
        stop: asyncio.Event,
        last_exit: LastExit | None = None,
    ) -> None:
        super().__init__(config)
        self._callers = connections
        self._stop = stop
        self._last_exit = last_exit

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say where, as uvicorn does where it opens the sockets itself."""
        await super().startup(sockets)
        for each in sockets or ():
            host, port, *_ = each.getsockname()
            where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            logging.getLogger("uvicorn.error").info(
                "Uvicorn running on http://%s (Press CTRL+C to quit)", where
            )

    async def on_tick(self, counter: int) -> bool:
        """See, ten times a second, who has taken too long."""
        self._callers.sweep()
        return await super().on_tick(counter)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take signals for an order, which is carried out and ends with exit code 0.

        uvicorn would raise them once more at its end, and die of them.
        """
        on_signal(self._on_signal)
        yield

    def _on_signal(self, sig: int) -> None:
        if self._last_exit is not None:
            self._last_exit.watch()
        self._stop.set()
        self.handle_exit(sig, None)


def serve(settings: Settings, *, host: str, port: int) -> None:
    """Serve; returns after a signal, once every job is given back.

    Raises OSError for an address that cannot be listened on.
    """
    budget = budget_of(settings)
    sockets = listeners.bind(host, port)
    stop = asyncio.Event()
    app = create_app(settings, stop=stop)
    last_exit = LastExit(call_seconds=settings.http_timeout_seconds)
    last_exit.spare(lambda: getattr(app.state, "is_calling", nobody_calls)())
    connections = Connections(
        Limits(
            connections=budget.callers,
            request_seconds=settings.request_timeout_seconds,
        )
    )
    config = configured(
        app,
        connections,
        backlog=_backlog(budget),
        trusted_proxies=settings.trusted_proxies,
    )
    gc.freeze()  # what was made by now stays, and need not be searched for garbage
    Server(config, connections, stop=stop, last_exit=last_exit).run(sockets)


def budget_of(settings: Settings) -> Descriptors:
    """Raise the limit of descriptors as far as it goes, and share them out."""
    budget = share_out(
        raise_soft_limit(),
        in_flight=settings.max_in_flight,
        pool_size=settings.database_pool_size,
    )
    if budget.short_by:
        log.warning(
            "too few file descriptors for MAX_IN_FLIGHT",
            limit=budget.limit,
            reserved=budget.reserved,
            callers=budget.callers,
        )
    return budget


def configured(
    app: ASGIApp,
    connections: Connections,
    *,
    backlog: int = BACKLOG,
    trusted_proxies: Sequence[str] = (),
) -> uvicorn.Config:
    """Configure uvicorn as it is used here, and nothing that is not."""
    return uvicorn.Config(
        app,
        http=bounded(connections),
        ws="none",
        log_config=None,  # app.logs has set it up
        access_log=False,  # the application logs requests, with their ids
        server_header=False,
        # By default uvicorn believes whoever is on this machine.
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        backlog=backlog,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=LONGEST_GOODBYE_SECONDS,
    )


def _backlog(budget: Descriptors) -> int:
    """Let no more come in at one go than there is room for until it is seen to."""
    spare = budget.limit - budget.callers
    return max(64, min(BACKLOG, spare // 2))
