"""Wait for the first of several things, for a thread, or try several ways."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

from app.machine.shortage import is_shortage

HEAD_START_SECONDS: Final = 0.25
"""How long one attempt runs alone before the next starts beside it.

https://www.rfc-editor.org/rfc/rfc8305#section-8
"""

Prize = TypeVar("Prize")
Trial = Callable[[], Coroutine[Any, Any, Prize]]


def in_daemon_thread(work: Callable[[], Prize], *, name: str) -> asyncio.Future[Prize]:
    """Do blocking work in a thread that the program's end does not wait for."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Prize] = loop.create_future()

    def run() -> None:
        try:
            found = work()
        except Exception as error:  # noqa: BLE001 - whoever waits is to have it
            hand_over(answer.set_exception, error)
        else:
            hand_over(answer.set_result, found)

    def hand_over(settle: Callable[[Any], None], what: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_unless_done, answer, settle, what)

    threading.Thread(target=run, name=name, daemon=True).start()
    return answer


def _unless_done(
    answer: asyncio.Future[Any], settle: Callable[[Any], None], what: object
) -> None:
    if not answer.done():
        settle(what)


async def first(*waits: Coroutine[None, None, object]) -> None:
    """Wait until one of these is done and break off the others."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def race(
    attempts: Sequence[Trial[Prize]], *, drop: Callable[[Prize], object]
) -> Prize:
    """Return the first result; raise the last failure if all fail.

    Each attempt starts ``HEAD_START_SECONDS`` after the one before, or when that fails.
    ``drop`` is called with each later result. A shortage of our own goes before other
    failures.
    """
    waiting, running = list(attempts), set[asyncio.Task[Prize]]()
    failure: BaseException = OSError("there is nothing to try")
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.create_task(waiting.pop(0)()))
            done, running = await asyncio.wait(
                running,
                timeout=HEAD_START_SECONDS if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for each in done:
                if (error := each.exception()) is None:
                    running |= done - {each}
                    return each.result()
                if not is_shortage(failure):
                    failure = error
        raise failure
    finally:
        await _drop(running, drop)


async def _drop(
    running: set[asyncio.Task[Prize]], drop: Callable[[Prize], object]
) -> None:
    for each in running:
        each.cancel()
    for late in await asyncio.gather(*running, return_exceptions=True):
        if not isinstance(late, BaseException):
            drop(late)
