"""Whose names are looked up, and who waits for whom."""

import asyncio
from contextlib import closing

import pytest

from app.outbound.client import Outbound
from app.outbound.dialer import EACH, on_behalf_of
from tests.support.receiver import receiving
from tests.support.resolver import resolving


async def test_a_projects_dead_names_keep_no_other_project_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its own go one after the other, four at a time."""
    dead = [f"dead{number}.example" for number in range(24)]
    resolver = resolving(monkeypatch, hanging=set(dead))
    outbound = Outbound(allow_private=True)

    async def call(project_id: str, url: str) -> int:
        with on_behalf_of(project_id):
            headers = {"Content-Length": "2"}
            opened = await outbound.open("POST", url, headers=headers, body=b"{}")
            with closing(opened) as answer:
                return answer.status

    async with receiving() as receiver:
        url = receiver.url.replace("127.0.0.1", "alive.example")
        late = [
            asyncio.create_task(call("proj_1", url.replace("alive.example", host)))
            for host in dead
        ]
        assert await call("proj_2", url) == 200
        assert len(set(resolver.asked) - {"alive.example"}) <= EACH
        resolver.go_on()
        assert await asyncio.gather(*late) == [200] * 24
