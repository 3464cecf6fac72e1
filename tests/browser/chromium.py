"""A headless Chromium, driven over its own protocol: no driver, no package of npm's.

https://chromedevtools.github.io/devtools-protocol/
"""

import asyncio
import base64
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

from websockets.asyncio.client import ClientConnection, connect

from tests.support.patience import PATIENCE_SECONDS

BINARY: Final = shutil.which("chromium") or shutil.which("google-chrome")

_LOOK_SECONDS: Final = 0.05
_FLAGS: Final = (
    "--headless",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
    "--remote-debugging-port=0",
    "--window-size=1280,1400",
)


class Page:
    """One tab, and everything that it complained of."""

    def __init__(self, connection: ClientConnection) -> None:
        self.complaints: list[str] = []
        self.requested: list[str] = []
        self._connection = connection
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._ids = count(1)

    async def call(self, method: str, **params: object) -> dict[str, Any]:
        """Send one command and return its result."""
        id = next(self._ids)
        answer = asyncio.get_running_loop().create_future()
        self._answers[id] = answer
        message = {"id": id, "method": method, "params": params}
        await self._connection.send(json.dumps(message))
        async with asyncio.timeout(PATIENCE_SECONDS):
            result: dict[str, Any] = await answer
        return result

    async def open(self, url: str) -> None:
        """Open a page and note from then on what goes wrong in it."""
        for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
            await self.call(f"{domain}.enable")
        await self.call("Page.navigate", url=url)

    async def see(self, script: str) -> Any:  # noqa: ANN401  whatever JavaScript gives
        """Return what an expression comes to, once it comes to anything."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                found = await self.call(
                    "Runtime.evaluate", expression=script, returnByValue=True
                )
                # No result at all: the page was left while it was asked.
                if value := found.get("result", {}).get("value"):
                    return value
                await asyncio.sleep(_LOOK_SECONDS)

    async def click(self, selector: str) -> None:
        """Click the first element that fits, once there is one."""
        found = f"document.querySelector({json.dumps(selector)})"
        await self.see(f"{found} && ({found}.click(), true)")

    async def write(self, selector: str, text: str) -> None:
        """Type into a field."""
        found = f"document.querySelector({json.dumps(selector)})"
        await self.see(f"{found} && ({found}.focus(), true)")
        await self.call("Input.insertText", text=text)

    async def picture(self, path: Path) -> None:
        """Save what is to be seen."""
        shot = await self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(shot["data"]))

    async def listen(self) -> None:
        """Take in what Chromium says, until it is gone."""
        async for raw in self._connection:
            message = json.loads(raw)
            if (answer := self._answers.pop(message.get("id"), None)) is None:
                self._note(message.get("method"), message.get("params", {}))
            elif not answer.done():
                answer.set_result(message.get("result", {}))

    def _note(self, method: str, said: dict[str, Any]) -> None:
        match method:
            case "Runtime.exceptionThrown":
                self.complaints.append(str(said["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if said["type"] in {"error", "warning"}:
                self.complaints.append(str(said["args"]))
            case "Log.entryAdded" if said["entry"]["level"] in {"error", "warning"}:
                self.complaints.append(str(said["entry"]))
            case "Audits.issueAdded" if "ContentSecurity" in said["issue"]["code"]:
                self.complaints.append(str(said["issue"]))
            case "Network.requestWillBeSent":
                self.requested.append(said["request"]["url"])
            case _:
                pass


@asynccontextmanager
async def chromium(profile: Path) -> AsyncIterator[Page]:
    """Start a browser with an empty profile; end it, and whatever it started."""
    assert BINARY is not None
    unboxed = ["--no-sandbox"] if os.geteuid() == 0 else []  # root has no sandbox
    process = await asyncio.create_subprocess_exec(
        BINARY,
        *(*_FLAGS, *unboxed, f"--user-data-dir={profile}", "about:blank"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with connect(await _tab(profile), max_size=None) as connection:
            page = Page(connection)
            listening = asyncio.create_task(page.listen())
            try:
                yield page
            finally:
                listening.cancel()
    finally:
        process.terminate()
        await process.wait()


async def _tab(profile: Path) -> str:
    """Return the address of the one tab that is open."""
    announced = profile / "DevToolsActivePort"
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            written = announced.read_text() if announced.exists() else ""
            if written and (tabs := await asyncio.to_thread(_tabs, written.split()[0])):
                return tabs[0]
            await asyncio.sleep(_LOOK_SECONDS)


def _tabs(port: str) -> list[str]:
    with urlopen(f"http://127.0.0.1:{port}/json", timeout=PATIENCE_SECONDS) as answer:
        tabs = json.loads(answer.read())
    return [tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page"]
