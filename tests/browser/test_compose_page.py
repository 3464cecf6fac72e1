"""The compose page in a real browser, against the simulator.

`BROWSER_PICTURES=folder` keeps what was to be seen.
"""

import asyncio
import fcntl
import json
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from examples.compose.run import HERE, compose_page
from examples.site import Site
from tests.browser.chromium import BINARY, Page, chromium

pytestmark = [
    pytest.mark.skipif(BINARY is None, reason="no Chromium on this machine"),
    pytest.mark.skipif(shutil.which("npm") is None, reason="no npm on this machine"),
]
WIDE, NARROW = 1280, 400
SUNDAY = 6
CHECKED = ("wcag2a", "wcag2aa", "wcag21aa")


@asynccontextmanager
async def opened(tmp_path: Path) -> AsyncIterator[tuple[Page, Site]]:
    """Start everything; connect the account through the page as a person would."""
    begun = _alone(tmp_path)
    site, address = await asyncio.to_thread(begun.__enter__)
    try:
        async with chromium(tmp_path / "profile") as page:
            await page.open(address)
            await page.click("#connect-panel:not([hidden]) #connect")
            await page.see("document.querySelector('#compose:not([hidden])') && true")
            page.complaints[:] = [
                each
                for each in page.complaints
                if "404" not in each and "409" not in each
            ]  # creator-info of an account that was not connected yet
            yield page, site
    finally:
        await asyncio.to_thread(begun.__exit__, None, None, None)


@contextmanager
def _alone(folder: Path) -> Iterator[tuple[Site, str]]:
    """Let nobody else build the page meanwhile: they build it in the same folder."""
    with (HERE / "package.json").open() as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        with compose_page(folder) as begun:
            yield begun


async def test_a_person_posts_schedules_and_cancels(tmp_path: Path) -> None:
    """Nothing is chosen beforehand; what is chosen is posted, and seen live."""
    folder = Path(os.environ.get("BROWSER_PICTURES") or tmp_path / "pictures")
    folder.mkdir(exist_ok=True)
    async with opened(tmp_path) as (page, _):
        assert await chosen(page) == {"privacy": "", "ticked": 0, "ready": False}
        await page.write("#title", "A first post")
        await choose(page, "SELF_ONLY")
        await page.see("!document.querySelector('#post-now').disabled")
        await look(page, folder, "compose")
        await page.click("#post-now")
        await page.see("document.querySelector('.post[data-status=posted]') && true")

        await page.write("#title", "For later")
        await choose(page, "SELF_ONLY")
        await page.see(f"({SET_TOMORROW}, true)")
        await page.click("#schedule:not(:disabled)")
        waiting = ".post[data-status=scheduled]"
        await page.see(f"document.querySelector('{waiting} button') && true")
        await in_week(page, "A first post", status="posted")
        if datetime.now().astimezone().weekday() == SUNDAY:
            await page.click("#week-after")
        await in_week(page, "For later", status="scheduled")
        await look(page, folder, "scheduled")
        await page.click(f"{waiting} button")
        await page.see("document.querySelector('.post[data-status=failed]') && true")
        await look(page, folder, "cancelled")
        # The simulator's people have their pictures at a host of TikTok's.
        assert [each for each in page.complaints if "tiktokcdn" not in each] == []


async def in_week(page: Page, title: str, *, status: str) -> None:
    """Wait until the calendar's week has a post."""
    entries = f"[...document.querySelectorAll('#week .day li[data-status={status}]')]"
    await page.see(f"{entries}.some(entry => entry.innerText.includes('{title}'))")


async def test_branded_content_cannot_be_private(tmp_path: Path) -> None:
    """The disclosure's rules are kept on the page, keyboard alone."""
    async with opened(tmp_path) as (page, _):
        await choose(page, "SELF_ONLY")
        for box in ("discloses", "paid-partnership"):
            await page.see(f"(document.getElementById('{box}').focus(), true)")
            await press(page, " ", "Space")
        said = await page.see("document.querySelector('#missing').innerText")
        assert "Branded content" in said
        assert await page.see("document.querySelector('#post-now').disabled")
        await page.see(
            "document.querySelector('#label-note').innerText.includes('Paid')"
        )


SET_TOMORROW = """(() => {
  const at = new Date(Date.now() + 24 * 3600 * 1000);
  at.setMinutes(at.getMinutes() - at.getTimezoneOffset());
  document.querySelector('#when').value = at.toISOString().slice(0, 16);
})()"""


async def chosen(page: Page) -> dict[str, Any]:
    """Tell what stands in the form."""
    script = """JSON.stringify({
      privacy: document.querySelector('#privacy').value,
      ticked: document.querySelectorAll('#compose input:checked').length,
      ready: !document.querySelector('#post-now').disabled,
    })"""
    found: dict[str, Any] = json.loads(await page.see(script))
    return found


async def choose(page: Page, audience: str) -> None:
    """Choose an audience, as the select tells of it."""
    offered = f"#privacy option[value={audience}]"
    await page.see(f"document.querySelector('{offered}') && true")
    await page.see(
        f"(document.querySelector('#privacy').value = '{audience}',"
        "document.querySelector('#privacy')"
        ".dispatchEvent(new Event('input', {bubbles: true})), true)"
    )


async def press(page: Page, text: str, code: str) -> None:
    """Press a key."""
    for kind in ("keyDown", "keyUp"):
        await page.call(
            "Input.dispatchKeyEvent",
            type=kind,
            key=text,
            code=code,
            text=text if kind == "keyDown" else "",
        )


async def look(page: Page, folder: Path, name: str) -> None:
    """Keep a picture at both widths; nothing overflows, and axe finds nothing."""
    for width in (WIDE, NARROW):
        await page.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=1400,
            deviceScaleFactor=1,
            mobile=False,
        )
        await page.see("document.readyState === 'complete'")
        assert (
            await page.see(
                f"document.documentElement.scrollWidth <= {width} || 'too wide'"
            )
            is True
        )
        await page.picture(folder / f"{name}-{width}.png")
        assert await violations(page) == []


async def violations(page: Page) -> list[str]:
    """Return what axe-core finds wrong: contrast, names, roles."""
    axe = (HERE / "node_modules" / "axe-core" / "axe.min.js").read_text()
    await page.call("Runtime.evaluate", expression=axe)
    only = json.dumps({"runOnly": list(CHECKED)})
    script = f"""axe.run(document, {only}).then((found) => JSON.stringify(
      found.violations.map((each) => each.id + ': ' +
        each.nodes.map((node) => node.target).join(', '))))"""
    found = await page.call(
        "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
    )
    told: list[str] = json.loads(found["result"]["value"])
    return told
