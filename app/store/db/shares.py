"""Limit the database connections of callers, to leave the rest to the runner."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Final
from weakref import WeakValueDictionary

from app.domain.errors import StoreUnavailable
from app.machine.callers import present_caller
from app.store.db.outage import ALL_IN_USE

_TENTHS_TOGETHER: Final = 6
_TENTHS_EACH: Final = 4
_FREE: Final = nullcontext()


class Shares:
    """Lets all callers together have 6 of 10 connections, and a single one 4.

    Tasks without a caller, such as the runner's, are not limited. If there are too few
    connections to share, callers get one at a time.
    """

    def __init__(self, connections: int, *, patience: float) -> None:
        """Take the number of connections, and how many seconds a caller may wait."""
        self._together = asyncio.Semaphore(_share(connections, _TENTHS_TOGETHER))
        self._each = _share(connections, _TENTHS_EACH)
        self._own: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._patience = patience

    def lent(self) -> AbstractAsyncContextManager[None]:
        """Wait until there is room in the caller's share; raises StoreUnavailable."""
        caller = present_caller()
        return _FREE if caller is None else self._lent_to(caller)

    @asynccontextmanager
    async def _lent_to(self, caller: str) -> AsyncIterator[None]:
        own = self._own.get(caller)
        if own is None:
            own = self._own[caller] = asyncio.Semaphore(self._each)
        async with _lent(own, self._patience), _lent(self._together, self._patience):
            yield


@asynccontextmanager
async def _lent(share: asyncio.Semaphore, patience: float) -> AsyncIterator[None]:
    if not share.locked():  # the common case, without the cost of a time-out
        await share.acquire()
    else:
        try:
            async with asyncio.timeout(patience):
                await share.acquire()
        except TimeoutError:
            raise StoreUnavailable(ALL_IN_USE) from None
    try:
        yield
    finally:
        share.release()


def _share(connections: int, tenths: int) -> int:
    return max(1, connections * tenths // 10)
