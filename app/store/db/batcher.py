"""Group commit: many small writes of one process in one statement."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping
from typing import Final, Generic, TypeVar

from app.domain.errors import StoreRefused, StoreUnavailable

Key = TypeVar("Key", bound=Hashable)
Asked = TypeVar("Asked")
Answer = TypeVar("Answer")
Spawn = Callable[[Coroutine[None, None, None]], asyncio.Task[None]]

_MOST: Final = 500  # rows whose locks one statement holds
_MANY: Final = 250
"""So many wait for no other statement: they are sent while the database writes it.

Fewer cost it less together with those that come meanwhile.
"""

_AT_ONCE: Final = 2  # statements


class Batcher(Generic[Key, Asked, Answer]):
    """Writes the first request at once, and those that come meanwhile together next.

    A lone request waits for nobody; many wait for at most one of two statements.
    ``write`` gets one entry per key, of those that no other statement is about, and
    answers for those that it could write, once they are durable. ``spawn`` runs it in a
    task of its own: a caller may be cancelled without breaking off the statement.
    """

    def __init__(
        self,
        write: Callable[[Mapping[Key, Asked]], Awaitable[Mapping[Key, Answer]]],
        *,
        spawn: Spawn = asyncio.create_task,
    ) -> None:
        self._write = write
        self._spawn = spawn
        self._waiting: list[tuple[Key, Asked, asyncio.Future[Answer | None]]] = []
        self._working = list[asyncio.Task[None]]()
        self._busy = set[Key]()  # those that are being written

    async def ask(self, key: Key, asked: Asked) -> Answer | None:
        """Return the answer for a key, None if there is none.

        Raises what ``write`` raises.
        """
        answer = asyncio.get_running_loop().create_future()
        self._waiting.append((key, asked, answer))
        at_work = self._at_work()
        if not at_work or (at_work < _AT_ONCE and self._are_many()):
            self._working.append(self._spawn(self._work()))
        result: Answer | None = await answer
        return result

    def _at_work(self) -> int:
        self._working = [task for task in self._working if not task.done()]
        return len(self._working)

    def _are_many(self) -> bool:
        return len(self._waiting) >= _MANY

    async def _work(self) -> None:
        """Write until nobody waits, or too few for a statement beside another."""
        while self._waiting and (self._are_many() or self._at_work() == 1):
            asked, answers = self._next()
            if not asked:
                return  # the other statement is about all of them
            await self._write_each(asked, answers)

    async def _write_each(
        self,
        asked: dict[Key, Asked],
        answers: dict[Key, asyncio.Future[Answer | None]],
    ) -> None:
        self._busy |= asked.keys()
        try:
            if not await self._answer(asked, answers):
                # One of them cannot be written; the others must not fail with it.
                for key, wish in asked.items():
                    await self._answer({key: wish}, {key: answers[key]})
        finally:
            self._busy -= asked.keys()

    async def _answer(
        self,
        asked: dict[Key, Asked],
        answers: dict[Key, asyncio.Future[Answer | None]],
    ) -> bool:
        """Write the batch; False if it failed and one entry may be the cause."""
        try:
            written = await self._write(asked)
        except Exception as error:  # noqa: BLE001  passed on to the callers
            if len(asked) > 1 and _may_be_ones(error):
                return False
            for answer in answers.values():
                _fail(answer, error)
        else:
            for key, answer in answers.items():
                if not answer.done():  # the caller may be gone
                    answer.set_result(written.get(key))
        return True

    def _next(
        self,
    ) -> tuple[dict[Key, Asked], dict[Key, asyncio.Future[Answer | None]]]:
        asked, answers = dict[Key, Asked](), dict[Key, asyncio.Future[Answer | None]]()
        later = []
        for each in self._waiting:
            key, wish, answer = each
            if key in asked or key in self._busy or len(asked) == _MOST:
                later.append(each)
            else:
                asked[key], answers[key] = wish, answer
        self._waiting = later
        return asked, answers


def _may_be_ones(error: Exception) -> bool:
    """Tell whether one entry of a batch may be the cause of an error."""
    return isinstance(error, StoreRefused) or not isinstance(error, StoreUnavailable)


def _fail(answer: asyncio.Future[Answer], error: Exception) -> None:
    if answer.done():
        return
    if isinstance(error, StoreUnavailable):  # each needs a traceback of its own
        own = type(error)(str(error))
        own.__cause__ = error
        error = own
    answer.set_exception(error)
