"""The simulator's own page and docs/simulator.md tell all there is, and truly."""

import html
import re
from collections.abc import Iterable, Iterator

import httpx
import pytest
from pydantic import BaseModel

from app.sandbox.afterlife import ACTS
from app.sandbox.assets.query import AssetQuery
from app.sandbox.control import control_routes
from app.sandbox.home import OTHER_BODIES, fields_of, kind_of, kinds
from app.sandbox.recording import Call
from app.sandbox.routes import tiktok_routes
from app.sandbox.script import FaultRule, Match
from app.sandbox.server import running_sandbox
from app.sandbox.settings import SandboxSettings
from tests.sandbox.curl import Shell, commands_of
from tests.sandbox.support import TikTok
from tests.support.repository import ROOT

PAGE = (ROOT / "docs" / "simulator.md").read_text()
MODELS: tuple[type[BaseModel], ...] = (
    *kinds(),
    *ACTS.values(),
    *OTHER_BODIES.values(),
    FaultRule,
    Match,
    SandboxSettings,
    AssetQuery,
)


def names_of(models: Iterable[type[BaseModel]]) -> Iterator[str]:
    """Yield every member of every script, body and query."""
    for model in models:
        yield from (name for name, _, _ in fields_of(model))


def everything() -> list[str]:
    """List all that a reader may want to look up."""
    return sorted({*names_of(MODELS), *map(kind_of, kinds()), *ACTS, *Call})


async def test_the_page_lists_everything(tiktok: TikTok) -> None:
    """Every route, call, fault, act, setting and member of them, by its name."""
    answer = await tiktok.http.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    shown = html.unescape(answer.text)
    words = set(re.findall(r"[\w.]+", shown))
    assert [name for name in everything() if name not in words] == []
    paths = {route.path for route in (*tiktok_routes(tiktok.world), *control_routes())}
    assert [path for path in paths if f" {path}</code>" not in shown] == []


async def test_the_page_says_what_each_thing_is(tiktok: TikTok) -> None:
    """The page's texts come from the code, without markup."""
    shown = (await tiktok.http.get("/")).text
    assert "Reset the connection (RST), before or after the call took effect." in shown
    assert "Take a direct post: pull its video" in shown
    assert "ASGI" not in shown


@pytest.mark.parametrize("name", everything())
def test_the_documentation_names_everything(name: str) -> None:
    """The documentation names everything in code style."""
    code = " ".join(re.findall(r"`([^`\n]+)`", PAGE)) + " ".join(
        command.line for command in commands_of(PAGE)
    )
    assert re.search(rf"(?<!\w){re.escape(name)}(?!\w)", code)


@pytest.mark.parametrize("path", sorted({route.path for route in control_routes()}))
def test_the_documentation_shows_every_route(path: str) -> None:
    """The documentation shows each route in a command to paste."""
    pattern = re.sub(r"\\{[^}]*\\}", r"[^/\\s]+", re.escape(path)) + r"(?![\w/])"
    pattern = pattern.replace(r"/posts/[^/\s]+/[^/\s]+", r"/posts/[^/\s]+/\w+")
    assert any(re.search(pattern, command.line) for command in commands_of(PAGE)), path


async def test_every_command_of_the_documentation_works() -> None:
    """Pasted one after the other, against a fresh simulator."""
    async with (
        running_sandbox() as running,
        httpx.AsyncClient(verify=False) as client,
    ):
        shell = Shell(client, {"SANDBOX": running.url})
        for command in commands_of(PAGE):
            answer = await shell.run(command.line)
            if answer is not None:
                said = (command.line, answer.status_code, answer.text[:200])
                assert command.fits(answer.status_code), said
