"""Connect only to vetted addresses: resolve a name once and connect to that result.

Checking the peer after connecting would let an attacker scan our network. Resolving
twice would let a name change its address in between (DNS rebinding).
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Final, TypeVar

from app.machine.concurrency import race
from app.machine.look_ups import ANYBODY, LookUps
from app.outbound.errors import Refused
from app.outbound.vetting import is_public

PORTS: Final = frozenset({80, 443})
"""The only ports called outside of tests, so that no mail server gets our bodies."""


Connected = TypeVar("Connected", bound=asyncio.BaseProtocol)
AT_ONCE: Final = 32
EACH: Final = 4
"""How many names of one project are looked up at a time."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

_project: ContextVar[str] = ContextVar("project", default=ANYBODY)


class Dialer:
    """Connects only to public addresses, unless private ones are allowed."""

    def __init__(self, *, allow_private: bool, resolve: Resolve) -> None:
        self._allow_private = allow_private
        self._resolve = resolve

    async def connect(
        self,
        make: Callable[[], Connected],
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
    ) -> Connected:
        """Resolve, vet and connect; raises Refused if any address is not public.

        Raises what the resolver, the system or TLS raises, mostly OSErrors.
        """
        if not self._allow_private and port not in PORTS:
            raise Refused(f"port {port} is not called")
        addresses = await self._resolve(host, port)
        if not self._allow_private and not all(map(is_public, addresses)):
            raise Refused("the address is not a public one")

        async def connected(address: str) -> tuple[asyncio.Transport, Connected]:
            return await asyncio.get_running_loop().create_connection(
                make, address, port, ssl=tls, server_hostname=host if tls else None
            )

        # Side by side: an address that hangs must not stop the others.
        attempts = [partial(connected, address) for address in addresses]
        if len(attempts) == 1:
            return (await attempts[0]())[1]
        return (await race(attempts, drop=lambda late: late[0].abort()))[1]


@contextmanager
def on_behalf_of(project_id: str) -> Iterator[None]:
    """Count look-ups in this block towards a project's share."""
    token = _project.set(project_id)
    try:
        yield
    finally:
        _project.reset(token)


class Resolver:
    """Looks up callers' host names; one per process, so that the shares hold."""

    def __init__(self) -> None:
        self._look_ups = LookUps(at_once=AT_ONCE, each=EACH)

    async def __call__(self, host: str, _port: int) -> Sequence[str]:
        """Ask the system's resolver; raises OSError, UnicodeError."""
        return await self._look_ups.addresses(host, share=_project.get())
