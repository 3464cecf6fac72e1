"""Whoever comes with wrong keys is answered later and later.

A good key never waits, nor does who brings none: behind a proxy that is not in
TRUSTED_PROXIES all callers have one address.
"""

from collections import Counter, OrderedDict
from datetime import datetime, timedelta
from ipaddress import IPv6Network, ip_address
from typing import Final

import structlog

from app.machine.clock import Clock

FREE: Final = 20
"""Failures of one peer that are answered at once: people mistype."""

FIRST_SECONDS: Final = 0.125
MOST_SECONDS: Final = 1.0
FORGOTTEN_AFTER: Final = timedelta(minutes=1)
"""After so long without a failure a peer begins anew."""

MOST_PEERS: Final = 10_000
WAITING: Final = 64
"""How many may wait at a time: each of them keeps a connection."""

WAITING_EACH: Final = 8
_HOME: Final = 64  # bits of an IPv6 address that one customer has for himself

log = structlog.get_logger(__name__)


class FailedAuthentications:
    """Counts failures per peer and lets the next ones wait; one per process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, datetime]] = OrderedDict()
        self._waiting: Counter[str] = Counter()

    async def failed(self, peer: str) -> bool:
        """Count a failure and wait; False if too many wait already to let this one."""
        peer = _home_of(peer)
        seconds = _delay(self._count(peer))
        if not seconds:
            return True
        if self._waiting[peer] >= WAITING_EACH or self._waiting.total() >= WAITING:
            return False
        self._waiting[peer] += 1
        try:
            await self._clock.sleep(seconds)
        finally:
            self._waiting[peer] -= 1
            if not self._waiting[peer]:
                del self._waiting[peer]
        return True

    def _count(self, peer: str) -> int:
        now = self._clock.now()
        count, last = self._failures.pop(peer, (0, now))
        count = 1 if now - last >= FORGOTTEN_AFTER else count + 1
        while len(self._failures) >= MOST_PEERS:
            self._failures.popitem(last=False)  # whose last failure is longest ago
        self._failures[peer] = (count, now)
        if count == FREE + 1:
            log.warning("failed authentications are answered late", peer=peer)
        return count


def _delay(failures: int) -> float:
    if failures <= FREE:
        return 0.0
    doublings = min(failures - FREE - 1, 10)
    return min(FIRST_SECONDS * (1 << doublings), MOST_SECONDS)


def _home_of(peer: str) -> str:
    """Return whose address it is: an IPv6 customer has 2^64 of them."""
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if address.version == 4:
        return peer
    if (mapped := address.ipv4_mapped) is not None:
        return str(mapped)
    return str(IPv6Network((int(address), _HOME), strict=False))
