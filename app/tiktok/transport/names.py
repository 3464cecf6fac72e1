"""Where a host is: its addresses, looked up seldom."""

import asyncio
from dataclasses import dataclass
from socket import SOCK_STREAM
from typing import Final

REMEMBER_SECONDS: Final = 10.0
"""Less than the time to live of any name that moves its traffic by DNS."""


@dataclass(frozen=True, slots=True)
class _Known:
    addresses: tuple[str, ...]
    until: float  # the loop's time


class Names:
    """Addresses of hosts; one look-up serves all who ask meanwhile.

    asyncio looks names up in six threads on two cores: thousands of posts that fall due
    together would wait in line for the same answer.
    """

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._asked: dict[str, asyncio.Task[tuple[str, ...]]] = {}

    async def addresses(self, host: str) -> tuple[str, ...]:
        """Return a host's addresses, the best first; raises OSError."""
        known = self._known.get(host)
        if known is not None and asyncio.get_running_loop().time() < known.until:
            return known.addresses
        task = self._asked.get(host)
        if task is None:
            task = self._asked[host] = asyncio.create_task(_look_up(host))
            task.add_done_callback(lambda done: self._remember(host, done))
        # Who gives up waiting does not take the answer from the others.
        return await asyncio.shield(task)

    def forget(self, host: str) -> None:
        """Look a host up anew: at its addresses nobody answers."""
        self._known.pop(host, None)

    def _remember(self, host: str, done: asyncio.Task[tuple[str, ...]]) -> None:
        del self._asked[host]
        if not done.cancelled() and done.exception() is None:
            until = done.get_loop().time() + REMEMBER_SECONDS
            self._known[host] = _Known(done.result(), until)


async def _look_up(host: str) -> tuple[str, ...]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, None, type=SOCK_STREAM)
    return tuple(dict.fromkeys(str(address[4][0]) for address in found))
