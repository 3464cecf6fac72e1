"""Waiting for whichever comes first."""

import asyncio
from collections.abc import Coroutine


async def first(*waits: Coroutine[None, None, object]) -> None:
    """Wait until one of these is done and break off the others."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
