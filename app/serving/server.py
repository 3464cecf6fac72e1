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

from app.machine.descriptors import Descriptors, raise_soft_limit, share_out
from app.main import create_app
from app.serving import listeners
from app.serving.connections import CallerLimits, Connections
from app.serving.protocol import bounded_protocol
from app.settings import Settings
from app.stopping import LastExit, nobody_calls, on_signal

log = structlog.get_logger(__name__)

KEEP_ALIVE_SECONDS: Final = 620
"""How long a connection may be idle between two requests.

Longer than any proxy keeps it, as the side that closes first may lose a request in
transit. nginx keeps one for 60 s, AWS' load balancer for 60 s, Google's for 600.
"""

LONGEST_GOODBYE_SECONDS: Final = 5
"""How long a client that does not finish may delay a stop."""

BACKLOG: Final = 2048
"""The listen backlog, if there are descriptors for all of them."""

_TICKS_PER_SWEEP: Final = 10


class Server(uvicorn.Server):
    """A server that passes a signal on to the application before waiting for requests.

    Otherwise a running tick would keep the process and its jobs for its whole budget.
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
        """Start, and log the address, which uvicorn does only for its own sockets."""
        await super().startup(sockets)
        for each in sockets or ():
            host, port, *_ = each.getsockname()
            where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            logging.getLogger("uvicorn.error").info(
                "Uvicorn running on http://%s (Press CTRL+C to quit)", where
            )

    async def on_tick(self, counter: int) -> bool:
        """Close connections that took too long, once a second of ten ticks.

        Looking at a thousand streams takes 3 ms.
        """
        if counter % _TICKS_PER_SWEEP == 0:
            self._callers.sweep()
        return await super().on_tick(counter)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals as an order to stop, with exit code 0.

        uvicorn would raise them again at its end, and die of them.
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

    Raises OSError for an address that cannot be bound.
    """
    budget = budget_of(settings)
    sockets = listeners.bind(host, port)
    stop = asyncio.Event()
    app = create_app(settings, stop=stop)
    last_exit = LastExit(call_seconds=settings.http_timeout_seconds)
    last_exit.spare(lambda: getattr(app.state, "is_calling", nobody_calls)())
    connections = Connections(
        CallerLimits(
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
    gc.freeze()  # objects made so far live on: do not scan them for garbage
    Server(config, connections, stop=stop, last_exit=last_exit).run(sockets)


def budget_of(settings: Settings) -> Descriptors:
    """Raise the limit of descriptors as far as possible, and share them out."""
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
    """Configure uvicorn, without the features that are not used."""
    return uvicorn.Config(
        app,
        http=bounded_protocol(connections),
        ws="none",
        log_config=None,  # app.logs has set it up
        access_log=False,  # the application logs requests, with their ids
        server_header=False,
        # By default uvicorn trusts everybody on this machine.
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        backlog=backlog,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=LONGEST_GOODBYE_SECONDS,
    )


def _backlog(budget: Descriptors) -> int:
    """Return the listen backlog: no more than there are descriptors for."""
    spare = budget.limit - budget.callers
    return max(64, min(BACKLOG, spare // 2))
