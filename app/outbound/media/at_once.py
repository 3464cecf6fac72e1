"""Measure a video right before its init, if that is quick."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Final
from urllib.parse import urlsplit

from app.outbound.client import Outbound
from app.outbound.errors import OutboundError
from app.outbound.media.measure import Measurer, is_film, seconds_in

QUICK_SECONDS: Final = 3.0
MOST_AT_A_TIME: Final = 8
"""The time for it: with more, one slow server would delay others' posts."""

SPARED_SECONDS: Final = 60.0
"""How long a host that did not answer is not tried again."""

MOST_SPARED: Final = 1000


class AtOnce:
    """Returns a video's length if that is quick; one per process."""

    def __init__(
        self, outbound: Outbound, *, now: Callable[[], float] = monotonic
    ) -> None:
        self._measurer = Measurer(outbound)
        self._now = now  # seconds
        self._running = 0
        self._spared: dict[str, float] = {}

    async def seconds_by(self, head: bytes, size: int, url: str) -> float | None:
        """Return a video's length from its first bytes, if they are enough.

        Otherwise ask its server, unless the rest of the file cannot state it either.
        """
        seconds = seconds_in(head, size)
        if seconds is None and is_film(head):
            return await self.seconds(url)
        return seconds

    async def seconds(self, url: str) -> float | None:
        """Return a video's length; None if it is not known in time."""
        host = urlsplit(url).netloc
        if self._running >= MOST_AT_A_TIME or self._is_spared(host):
            return None
        self._running += 1
        try:
            async with asyncio.timeout(QUICK_SECONDS):
                return (await self._measurer.film(url)).seconds
        except (OutboundError, TimeoutError):
            self._spare(host)
            return None
        finally:
            self._running -= 1

    def _is_spared(self, host: str) -> bool:
        return self._now() < self._spared.get(host, 0.0)

    def _spare(self, host: str) -> None:
        if len(self._spared) >= MOST_SPARED:
            self._spared.clear()
        self._spared[host] = self._now() + SPARED_SECONDS
