"""Try several ways to the same result at once, each a moment after the last.

https://www.rfc-editor.org/rfc/rfc8305#section-8
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, TypeVar

HEAD_START_SECONDS: Final = 0.25
"""How long one attempt runs alone before the next starts beside it."""

Prize = TypeVar("Prize")
Attempt = Callable[[], Coroutine[Any, Any, Prize]]


async def race(
    attempts: Sequence[Attempt[Prize]], *, drop: Callable[[Prize], object]
) -> Prize:
    """Return the first result; raise the last failure if all fail.

    ``drop`` is called with each later result. After a failure the next starts at once.
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
