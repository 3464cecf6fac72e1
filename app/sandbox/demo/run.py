"""Run the demo."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx
from rich.console import Console

from app.sandbox.demo.scenario import Life, begin, look
from app.sandbox.demo.scenarios import KILLED, TOGETHER
from app.sandbox.demo.screen import Screen, closing, shown_on
from app.sandbox.demo.service import Service
from app.sandbox.server import running_sandbox

LONGEST_SECONDS: Final = 240
LOOK_SECONDS: Final = 0.25

INTRODUCTION: Final = """\
[bold]tiktok-scheduler[/], end to end: the service on SQLite, and a TikTok
simulator on a real socket. Times are compressed: polls every 0.5 s instead of
5 s, a lease of 6 s instead of 300 s, retries after 1, 2 and 4 s.
"""


def run_demo() -> int:
    """Show every scenario; return 0 only if each ended as it should."""
    console = Console()
    console.print(INTRODUCTION)
    with TemporaryDirectory(prefix="tiktok-scheduler-demo-") as directory:
        lives = asyncio.run(_demo(console, Path(directory)))
    console.print(closing(lives))
    good = sum(life.as_it_should for life in lives)
    console.print(f"{good} of {len(lives)} ended as they should.")
    return 0 if good == len(lives) else 1


async def _demo(console: Console, directory: Path) -> Sequence[Life]:
    async with running_sandbox() as sandbox:
        service = Service(directory=directory, tiktok=sandbox.url)
        try:
            async with httpx.AsyncClient(
                base_url=sandbox.url, trust_env=False, timeout=60
            ) as tiktok:
                await _take_small_chunks(tiktok)
                return await _show(console, service, tiktok)
        finally:
            await service.close()


async def _take_small_chunks(tiktok: httpx.AsyncClient) -> None:
    """Let the simulator take less than TikTok's 5 MB, so that nobody has to wait."""
    body = {"minChunkBytes": 1000, "maxChunkBytes": 1_000_000}
    (await tiktok.post("/_sandbox/settings", json=body)).raise_for_status()


async def _show(
    console: Console, service: Service, tiktok: httpx.AsyncClient
) -> Sequence[Life]:
    await service.start()
    lives = [Life(scenario) for scenario in TOGETHER]
    rows = len(TOGETHER) + len(KILLED)
    with shown_on(console, lives, rows=rows) as screen:
        for life in lives:
            await begin(life, service, tiktok)
        await _watch(lives, lives, service, tiktok, screen)
        killed = [Life(scenario) for scenario in KILLED]
        lives += killed
        for life in killed:
            await begin(life, service, tiktok)
        await _kill_under_way(killed, lives, service, tiktok, screen)
        await _watch(killed, lives, service, tiktok, screen)
    return lives


async def _watch(
    waiting: Sequence[Life],
    shown: Sequence[Life],
    service: Service,
    tiktok: httpx.AsyncClient,
    screen: Screen,
) -> None:
    """Look until every job that is waited for has ended, or it takes too long."""
    for _ in range(int(LONGEST_SECONDS / LOOK_SECONDS)):
        for life in waiting:
            await look(life, service, tiktok)
        screen(shown)
        if all(life.over for life in waiting):
            break
        await asyncio.sleep(LOOK_SECONDS)
    await _settle(waiting, service, tiktok)


async def _settle(
    lives: Sequence[Life], service: Service, tiktok: httpx.AsyncClient
) -> None:
    """Let TikTok finish what it took, so that a second post would be seen."""
    await asyncio.sleep(1.5)
    for life in lives:
        await look(life, service, tiktok)


async def _kill_under_way(
    killed: Sequence[Life],
    shown: Sequence[Life],
    service: Service,
    tiktok: httpx.AsyncClient,
    screen: Screen,
) -> None:
    """Kill the worker once TikTok has something of each post, and start another."""
    while not all(life.is_under_way or life.over for life in killed):
        for life in killed:
            await look(life, service, tiktok)
        screen(shown)
        await asyncio.sleep(LOOK_SECONDS / 5)
    await service.kill()
    for life in killed:
        life.trail.append("killed")
    screen(shown)
    await service.start()
