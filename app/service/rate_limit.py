"""Limit the requests of each API key: a token bucket per process."""

from typing import Final

from app.domain.errors import TooManyRequests
from app.machine.clock import Clock

_MAX_BUCKETS: Final = 10_000


class RateLimit:
    """Allows each key so many requests a minute, in a burst if it likes."""

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
        if len(self._buckets) >= _MAX_BUCKETS and key_id not in self._buckets:
            self._buckets.clear()  # bounds the memory; no key is limited wrongly
        self._buckets[key_id] = (tokens - 1, now)
