"""A connection pool that shrinks, and waits when the server is full."""

import asyncio
import logging
import time
from typing import Any, Final

from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlalchemy.util import await_
from sqlalchemy.util.concurrency import greenlet_spawn
from sqlalchemy.util.queue import Empty

from app.store.db.outage import ALL_IN_USE, DatabaseUnreachable

IDLE_SECONDS: Final = 5.0
"""How long an unused connection is kept, except the newest."""

ALWAYS_KEPT: Final = 2
"""A statement that meets another one finds a connection: opening one takes 10 ms."""

TRY_AGAIN_SECONDS: Final = 0.2
RETURNED: Final = "returned_at"
"""The key in a connection's info of when it was last returned."""

# SQLAlchemy's own pools tell less by default, too.
logging.getLogger(f"{__name__}.SparingPool").setLevel(logging.WARNING)


class SparingPool(AsyncAdaptedQueuePool):
    """Keeps few connections, newest first, and closes those not needed.

    If the server has no room for another connection, callers wait for one of ours to
    become free.
    """

    _shrinking: asyncio.TimerHandle | None = None

    def _do_get(self) -> Any:  # noqa: ANN401  the pool's own type is private
        until = time.monotonic() + self._timeout
        while True:
            try:
                return super()._do_get()
            except DatabaseUnreachable as error:
                left = until - time.monotonic()
                if not error.is_full or left <= 0:
                    raise
                if (one := self._one_of_ours(left)) is not None:
                    return one

    def _one_of_ours(self, seconds: float) -> Any | None:  # noqa: ANN401  as above
        """Wait for a connection that is in use, or a moment if there is none."""
        if not self.checkedin() and self._overflow <= -self._pool.maxsize:
            await_(asyncio.sleep(min(TRY_AGAIN_SECONDS, seconds)))
            return None
        try:
            # Other programs may close theirs meanwhile.
            return self._pool.get(True, min(5 * TRY_AGAIN_SECONDS, seconds))
        except Empty:
            if seconds > 5 * TRY_AGAIN_SECONDS:
                return None
            raise PoolTimeout(ALL_IN_USE) from None

    def _do_return_conn(self, record: Any) -> None:  # noqa: ANN401  as above
        record.info[RETURNED] = time.monotonic()
        super()._do_return_conn(record)
        if self._shrinking is None and self.checkedin() > ALWAYS_KEPT:
            self._shrink_later()

    def _shrink_later(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # returned by the garbage collector at the program's end
            return
        self._shrinking = loop.call_later(IDLE_SECONDS, self._shrink, loop)

    def _shrink(self, loop: asyncio.AbstractEventLoop) -> None:
        self._shrinking = None
        if idle := self._take_idle(time.monotonic() - IDLE_SECONDS):
            self._closing = loop.create_task(self._close_all(idle))
        if self.checkedin() > ALWAYS_KEPT:
            self._shrink_later()

    def _take_idle(self, since: float) -> list[Any]:
        """Take out the connections unused since then, except the newest few."""
        kept, idle = list[Any](), list[Any]()
        while True:
            try:
                record = self._pool.get_nowait()
            except Empty:
                break
            is_idle = record.info.get(RETURNED, since) < since
            is_spare = len(kept) >= ALWAYS_KEPT
            (idle if is_spare and is_idle else kept).append(record)
        for record in reversed(kept):
            self._pool.put_nowait(record)
        for _ in idle:
            self._dec_overflow()
        return idle

    async def _close_all(self, records: list[Any]) -> None:
        for record in records:
            # Not close(), which waits for ever for a server that is gone.
            await greenlet_spawn(record.invalidate)
