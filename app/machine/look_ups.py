"""Look up hosts' addresses with the system's resolver, in our own threads.

Those of hosts we chose are cached, and kept while the resolver is down.

Look-ups of strangers' hosts share no threads with those of TikTok's or the database's:
if the resolver takes half a minute for a stranger's name, nobody else waits. The loop's
own look-ups are not used: asyncio makes them in six threads, uvloop in four.
"""

import asyncio
import os
import socket
from contextlib import suppress
from functools import partial
from typing import Final
from weakref import WeakValueDictionary

from msgspec import Struct
from msgspec.structs import replace

from app.machine.concurrency import in_daemon_thread

Addresses = tuple[str, ...]

REMEMBER_SECONDS: Final = 10.0
"""Less than the time to live of any name whose traffic is moved by DNS."""

STALE_AFTER_SECONDS: Final = 1.0
"""How long a resolver may take before the last known addresses are used."""

CHOSEN_AT_ONCE: Final = 4
"""How many names of hosts we chose are looked up at a time."""

ANYBODY: Final = ""
"""The share of everybody who has none of their own."""


class LookUps:
    """Looks up so many names at a time, at most ``each`` of them for one share.

    Everybody who asks for a name meanwhile shares one look-up.
    """

    def __init__(self, *, at_once: int, each: int | None = None) -> None:
        self._all = asyncio.Semaphore(at_once)
        self._each = each or at_once
        self._shares: WeakValueDictionary[str, asyncio.Semaphore] = (
            WeakValueDictionary()
        )
        self._under_way: dict[str, asyncio.Task[Addresses]] = {}

    async def addresses(self, host: str, *, share: str = ANYBODY) -> Addresses:
        """Return a host's addresses, best first; raises OSError, UnicodeError.

        ``share`` names whose look-up it is.
        """
        if _is_address(host):
            return (host,)
        task = self._under_way.get(host)
        if task is None:
            task = asyncio.create_task(self._look_up(host, share))
            self._under_way[host] = task
            task.add_done_callback(lambda done: self._ended(host, done))
        # One who gives up waiting must not cancel it for the others.
        return await asyncio.shield(task)

    async def _look_up(self, host: str, share: str) -> Addresses:
        own = self._shares.get(share)
        if own is None:
            own = self._shares[share] = asyncio.Semaphore(self._each)
        async with own, self._all:
            # The program's end does not wait for it.
            return await in_daemon_thread(partial(_ask, host), name=f"look up {host}")

    def _ended(self, host: str, done: asyncio.Task[Addresses]) -> None:
        del self._under_way[host]
        if not done.cancelled():
            done.exception()  # everybody who waited may have given up


class _Known(Struct, frozen=True):
    addresses: Addresses
    until: float  # the loop's time


class Names:
    """Addresses of TikTok's hosts, or the database's.

    Thousands of posts that fall due together wait for one answer. While the resolver
    is down they use the last known addresses, which are probably still right.
    """

    def __init__(self) -> None:
        self._look_ups = LookUps(at_once=CHOSEN_AT_ONCE)
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


def _ask(host: str) -> Addresses:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror:
        # Without a free descriptor the resolver answers EAI_AGAIN.
        os.close(os.open(os.devnull, os.O_RDONLY))
        raise
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def _is_address(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError, ValueError):
            socket.inet_pton(family, host)
            return True
    return False
