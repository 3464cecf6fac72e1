"""The docs page in a real browser: it loads, takes a key, and sends requests.

`BROWSER_PICTURES=folder` keeps what was to be seen.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.main import create_app
from app.use_cases import UseCases
from tests.api.serving import settings_of
from tests.browser.chromium import BINARY, Page, chromium
from tests.support.loopback import on_loopback
from tests.support.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.skipif(BINARY is None, reason="no Chromium on this machine")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Name the folder for pictures."""
    folder = Path(os.environ.get("BROWSER_PICTURES") or tmp_path / "pictures")
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture
async def docs(sqlite_url: str, tmp_path: Path) -> AsyncIterator[tuple[Page, str]]:
    """Open the docs page of a running service; give it and a key."""
    app = create_app(settings_of(sqlite_url))
    async with on_loopback(app) as address, chromium(tmp_path / "profile") as page:
        services: UseCases = app.state.services
        _, key = await services.keys.create("browser", None)
        await page.open(f"{address}/docs")
        yield page, key
        elsewhere = [url for url in page.requested if not url.startswith(address)]
        assert [url for url in elsewhere if not url.startswith("data:")] == []
        assert page.complaints == []


async def execute(page: Page, operation: str) -> str:
    """Try an operation out as it stands; return the status that came back."""
    block = f"#operations-{operation}"
    await page.click(f"{block} .opblock-summary-control")
    await page.click(f"{block} .try-out__btn")
    await page.click(f"{block} .execute")
    row = f"document.querySelector('{block} .live-responses-table tbody tr')"
    text: str = await page.see(f"{row}?.innerText")
    await page.see(f"({row}.scrollIntoView({{block: 'center'}}), true)")
    return text.split()[0]


async def test_try_it_out_works(docs: tuple[Page, str], pictures: Path) -> None:
    """A key is given once; create and list answer, and nothing is complained of."""
    page, key = docs
    await page.see("document.querySelectorAll('.opblock').length > 20")
    await page.picture(pictures / "page.png")
    await page.click(".auth-wrapper .authorize")
    await page.write("input[aria-label='auth-bearer-value']", key)
    await page.picture(pictures / "authorize.png")
    await page.click(".modal-ux .auth-btn-wrapper .authorize")
    await page.click(".modal-ux .btn-done")
    assert await execute(page, "Jobs-createJob") == "201"
    await page.picture(pictures / "create.png")
    assert await execute(page, "Jobs-listJobs") == "200"
    await page.picture(pictures / "list.png")


async def test_the_stream_shows_its_events(docs: tuple[Page, str]) -> None:
    """Tried out as it stands, it ends by itself and shows what came."""
    page, key = docs
    await page.see("document.querySelectorAll('.opblock').length > 20")
    await page.click(".auth-wrapper .authorize")
    await page.write("input[aria-label='auth-bearer-value']", key)
    await page.click(".modal-ux .auth-btn-wrapper .authorize")
    await page.click(".modal-ux .btn-done")
    assert await execute(page, "Jobs-createJob") == "201"
    assert await execute(page, "Jobs-streamJobs") == "200"
    row = "#operations-Jobs-streamJobs .live-responses-table tr.response"
    answer = f"{row} .response-col_description"
    shown = f"document.querySelector('{answer}')?.innerText"
    await page.see(f"{shown}?.includes('event: ready')")


async def test_a_key_is_kept_if_somebody_asks_for_it(docs: tuple[Page, str]) -> None:
    """Ticked, it survives a reload of the tab; unticked, it is forgotten."""
    page, key = docs
    kept = "sessionStorage.getItem('tiktok-scheduler key')"
    await page.see("document.querySelectorAll('.opblock').length > 20")
    await page.click(".auth-wrapper .authorize")
    await page.write("input[aria-label='auth-bearer-value']", key)
    await page.click(".modal-ux .auth-btn-wrapper .authorize")
    await page.click(".modal-ux .btn-done")
    await page.see(f"{kept} === null")
    await page.click("#keep")
    await page.see(f"{kept} !== null")
    await page.see("(location.reload(), true)")
    await page.see("document.querySelectorAll('.opblock').length > 20")
    await page.see("document.getElementById('keep').checked")
    assert await execute(page, "Jobs-listJobs") == "200"
    await page.click("#keep")
    await page.see(f"{kept} === null")


async def test_a_violation_would_be_seen(docs: tuple[Page, str]) -> None:
    """The page may not load from elsewhere, and the test above would notice."""
    page, _ = docs
    await page.see("document.querySelectorAll('.opblock').length > 20")
    picture = "Object.assign(new Image(), {src: 'http://127.0.0.1:9/x.png'})"
    await page.see(f"(document.body.append({picture}), true)")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not page.complaints:  # noqa: ASYNC110 - the browser tells in its time
            await asyncio.sleep(0.01)
    assert "violates" in page.complaints[0] or "ContentSecurity" in page.complaints[0]
    page.complaints.clear()
    page.requested[:] = [url for url in page.requested if "x.png" not in url]
