"""Addresses of hosts we chose: cached, and kept while the resolver is down."""

import asyncio
from dataclasses import dataclass, replace
from typing import Final

from app.machine.look_ups import Addresses, LookUps

REMEMBER_SECONDS: Final = 10.0
"""Less than the time to live of any name whose traffic is moved by DNS."""

STALE_AFTER_SECONDS: Final = 1.0
"""How long a resolver may take before the last known addresses are used."""

AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class _Known:
    addresses: Addresses
    until: float  # the loop's time


class Names:
    """Addresses of TikTok's hosts, or the database's.

    Thousands of posts that fall due together wait for one answer. While the resolver
    is down they use the last known addresses, which are probably still right.
    """

    def __init__(self) -> None:
        self._look_ups = LookUps(at_once=AT_ONCE)
        self._known: dict[str, _Known] = {}

    async def addresses(self, host: str) -> Addresses:
        """Return a host's addresses, best first; raises OSError, UnicodeError."""
        known = self._known.get(host)
        if known is None:
            return await self._fresh(host)
        if asyncio.get_running_loop().time() < known.until:
            return known.addresses
        try:
            async with asyncio.timeout(STALE_AFTER_SECONDS):
                return await self._fresh(host)
        except OSError:  # TimeoutError is one
            self._remember(host, known.addresses)
            return known.addresses

    def forget(self, host: str) -> None:
        """Look the host up again next time: nobody answers at its addresses."""
        if (known := self._known.get(host)) is not None:
            self._known[host] = replace(known, until=0.0)

    async def _fresh(self, host: str) -> Addresses:
        found = await self._look_ups.addresses(host)
        self._remember(host, found)
        return found

    def _remember(self, host: str, addresses: Addresses) -> None:
        until = asyncio.get_running_loop().time() + REMEMBER_SECONDS
        self._known[host] = _Known(addresses, until)
