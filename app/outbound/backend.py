"""Connect only to vetted addresses: resolve a name once and connect to that result.

Checking the peer after connecting would let an attacker scan our network. Resolving
twice would let a name change its address in between (DNS rebinding).
"""

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final

import httpcore

from app.machine.concurrency import race
from app.outbound.errors import Refused
from app.outbound.resolver import Resolve
from app.outbound.vetting import is_public

PORTS: Final = frozenset({80, 443})
"""The only ports called outside of tests, so that no mail server gets our bodies."""


class VettedBackend(httpcore.AsyncNetworkBackend):
    """Lets httpcore connect to public addresses only."""

    def __init__(self, *, allow_private: bool, resolve: Resolve) -> None:
        self._inner = httpcore.AnyIOBackend()
        self._allow_private = allow_private
        self._resolve = resolve

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve, vet and connect; raises Refused if any address is not public."""
        if not self._allow_private and port not in PORTS:
            raise Refused(f"port {port} is not called")
        try:
            addresses = await self._resolve(host, port)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        if not self._allow_private and not all(map(is_public, addresses)):
            raise Refused("the address is not a public one")
        return await self._first(
            addresses, port, timeout, local_address, socket_options
        )

    async def sleep(self, seconds: float) -> None:
        """Wait, for httpcore."""
        await asyncio.sleep(seconds)

    async def _first(
        self,
        addresses: Sequence[str],
        port: int,
        timeout: float | None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address that answers, even if earlier ones hang."""
        if not addresses:
            raise httpcore.ConnectError("the name has no address")
        late = list[httpcore.AsyncNetworkStream]()
        attempts = [
            partial(
                self._inner.connect_tcp,
                address,
                port,
                timeout=timeout,
                local_address=local_address,
                socket_options=socket_options,
            )
            for address in addresses
        ]
        try:
            return await race(attempts, drop=late.append)
        finally:
            for stream in late:
                await stream.aclose()
