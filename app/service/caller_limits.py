"""Limit callers: the requests of each key, and the failed tries of each peer."""

from collections import Counter, OrderedDict
from datetime import datetime, timedelta
from typing import Final

import structlog

from app.domain.errors import TooManyRequests
from app.machine.callers import home_of
from app.machine.clock import Clock

FREE: Final = 20
"""How many failures of one peer are answered at once: people mistype."""

FIRST_SECONDS: Final = 0.125
MOST_SECONDS: Final = 1.0
FORGOTTEN_AFTER: Final = timedelta(minutes=1)
"""After so long without a failure a peer is forgotten."""

MOST_PEERS: Final = 10_000
WAITING: Final = 64
"""How many may wait at a time: each keeps a connection open."""

WAITING_EACH: Final = 8
MAX_BUCKETS: Final = 10_000

log = structlog.get_logger(__name__)


class FailedAuthentications:
    """Delays the answers to peers that keep sending wrong keys; one per process.

    A valid key never waits, nor does a request without a key: behind a proxy that is
    not in TRUSTED_PROXIES all callers have the same address.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, datetime]] = OrderedDict()
        self._waiting: Counter[str] = Counter()

    async def failed(self, peer: str) -> bool:
        """Count a failure and wait; False if too many are waiting already."""
        peer = home_of(peer)
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
            self._failures.popitem(last=False)  # the peer whose last failure is oldest
        self._failures[peer] = (count, now)
        if count == FREE + 1:
            log.warning("failed authentications are delayed", peer=peer)
        return count


def _delay(failures: int) -> float:
    if failures <= FREE:
        return 0.0
    doublings = min(failures - FREE - 1, 10)
    return min(FIRST_SECONDS * (1 << doublings), MOST_SECONDS)


class RateLimit:
    """Allows each key so many requests a minute: a token bucket per process."""

    def __init__(self, per_minute: int, clock: Clock) -> None:
        """Take the limit; 0 means no limit."""
        self._per_minute = per_minute
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}  # tokens, and since when

    def take(self, key_id: str) -> None:
        """Count a request; raises TooManyRequests."""
        if not self._per_minute:
            return
        now, each = self._clock.now().timestamp(), 60 / self._per_minute
        most = float(self._per_minute)
        tokens, since = self._buckets.get(key_id, (most, now))
        tokens = min(most, tokens + max(0.0, now - since) / each)
        if tokens < 1:
            raise TooManyRequests((1 - tokens) * each)
        if len(self._buckets) >= MAX_BUCKETS and key_id not in self._buckets:
            self._buckets.clear()  # bounds the memory; no key is limited wrongly
        self._buckets[key_id] = (tokens - 1, now)
