"""The stream of jobs over real sockets: what a frontend reads instead of asking."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx
import pytest
from fastapi import FastAPI

from app.main import create_app
from app.service.jobs import feed as feed_module
from app.use_cases import UseCases
from tests.api.serving import client_of, job_body, settings_of
from tests.support.loopback import on_loopback
from tests.support.patience import PATIENCE_SECONDS

STREAM: Final = "/v1/jobs/stream"
FRONTEND: Final = "https://app.example.com"

Event = dict[str, str]
Events = AsyncGenerator[Event]


@dataclass(frozen=True, slots=True)
class Served:
    """The app on a socket."""

    app: FastAPI
    address: str
    stop: asyncio.Event

    async def key(self, project_id: str | None = None) -> str:
        """Make a key."""
        services: UseCases = self.app.state.services
        _, secret = await services.keys.create("test", project_id)
        return secret

    @asynccontextmanager
    async def client(self, project_id: str | None = None) -> AsyncIterator[Any]:
        """Give a client with a key of its own."""
        headers = {"Authorization": f"Bearer {await self.key(project_id)}"}
        async with httpx.AsyncClient(
            base_url=self.address, headers=headers, timeout=PATIENCE_SECONDS
        ) as client:
            yield client


@pytest.fixture
async def served(database_url: str) -> AsyncIterator[Served]:
    """Serve on loopback; nothing runs jobs."""
    stop = asyncio.Event()
    app = create_app(settings_of(database_url, cors_origins=(FRONTEND,)), stop=stop)
    async with on_loopback(app) as address:
        yield Served(app, address, stop)


@asynccontextmanager
async def watching(
    client: httpx.AsyncClient, project_id: str = "proj_1", **headers: str
) -> AsyncIterator[tuple[httpx.Response, Events]]:
    """Open a stream as a frontend does."""
    params = {"projectId": project_id}
    async with client.stream("GET", STREAM, params=params, headers=headers) as response:
        assert response.status_code == 200
        async with aclosing(events(response)) as told:
            yield response, told


async def events(response: httpx.Response) -> Events:
    """Read events as the standard says; comments alone are none."""
    event: Event = {}
    async for line in response.aiter_lines():
        name, _, value = line.partition(": ")
        if line == "" and event:
            yield event
            event = {}
        elif name:
            event[name] = value


async def test_a_job_is_told_as_it_is_shown(served: Served) -> None:
    """First `ready`, then each change, byte for byte as GET gives the job."""
    async with served.client() as client, watching(client) as (response, told):
        assert response.headers["content-type"].startswith("text/event-stream")
        ready = await anext(told)
        assert (ready["event"], json.loads(ready["data"])) == (
            "ready",
            {"resumed": False},
        )
        assert int(ready["retry"]) > 0
        created = (await client.post("/v1/jobs", json=job_body())).json()
        event = await anext(told)
        shown = await client.get(f"/v1/jobs/{created['id']}")
        assert event["event"] == "job"
        assert event["data"] == shown.text
        change = {"scheduledFor": "2026-05-09T12:00:00.000Z"}
        changed = await client.patch(f"/v1/jobs/{created['id']}", json=change)
        assert json.loads((await anext(told))["data"]) == changed.json()


async def test_a_client_goes_on_where_it_was(served: Served) -> None:
    """The id of its last event brings what changed since; no list is needed."""
    async with served.client() as client:
        async with watching(client) as (_, told):
            last = (await anext(told))["id"]
        job = (await client.post("/v1/jobs", json=job_body())).json()
        async with watching(client, **{"Last-Event-ID": last}) as (_, told):
            assert json.loads((await anext(told))["data"])["id"] == job["id"]
            ready = await anext(told)
            assert json.loads(ready["data"]) == {"resumed": True}


@pytest.mark.parametrize(
    "last",
    [
        "42",
        "yesterday",
        "2026-04-09T12:00:00",
        "0001-01-01T00:00:00+23:59",
        "2020-04-09T12:00:00.000000+00:00",
    ],
)
async def test_an_id_that_leads_nowhere_sends_to_the_list(
    served: Served, last: str
) -> None:
    """Made up or out of date: the client is live, and reads the list once."""
    async with (
        served.client() as client,
        watching(client, **{"Last-Event-ID": last}) as (_, told),
    ):
        ready = await anext(told)
        assert json.loads(ready["data"]) == {"resumed": False}


async def test_a_key_watches_its_own_project(served: Served) -> None:
    """Its own need not be named; another's does not exist, like one that never was."""
    async with served.client("proj_1") as client:
        refused = await client.get(STREAM, params={"projectId": "proj_2"})
        assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
        async with client.stream("GET", STREAM) as response:
            assert response.status_code == 200


async def test_a_key_for_all_names_the_project(served: Served) -> None:
    """Without one it is told what is missing; an unknown parameter is refused."""
    async with served.client() as client:
        missing = await client.get(STREAM)
        assert missing.status_code == 422
        assert missing.json()["errors"][0]["pointer"] == "/projectId"
        wrong = await client.get(STREAM, params={"projectId": "p", "status": "failed"})
        assert wrong.json()["errors"][0]["pointer"] == "/status"


async def test_nobody_watches_without_a_key(served: Served) -> None:
    """A key in the URL is none."""
    async with client_of(served.app, None) as stranger:
        key = await served.key()
        for params in ({}, {"key": key}, {"access_token": key}, {"apiKey": key}):
            refused = await stranger.get(STREAM, params=params)
            assert refused.status_code == 401


async def test_a_full_house_says_when_to_come_back(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One stream too many is a 503, not a slow service for everybody."""
    monkeypatch.setattr(feed_module, "MAX_LISTENERS", 0)
    async with served.client() as client:
        refused = await client.get(STREAM, params={"projectId": "proj_1"})
    assert (refused.status_code, refused.json()["code"]) == (503, "too_many_listeners")
    assert int(refused.headers["retry-after"]) > 0


async def test_a_key_has_its_share_of_streams(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller with all its streams open leaves room for others."""
    monkeypatch.setattr(feed_module, "MAX_OF_A_KEY", 2)
    async with (
        served.client() as greedy,
        watching(greedy),
        watching(greedy, "proj_2"),
        served.client("proj_1") as other,
    ):
        refused = await greedy.get(STREAM, params={"projectId": "proj_1"})
        assert (refused.status_code, refused.json()["code"]) == (
            429,
            "too_many_streams",
        )
        async with watching(other) as (_, told):
            await anext(told)


async def test_a_client_that_goes_leaves_nothing_behind(served: Served) -> None:
    """A listener goes when its connection does."""
    services: UseCases = served.app.state.services
    async with served.client() as client:
        async with watching(client) as (_, told):
            await anext(told)
            assert len(services.feed._listeners) == 1
        async with asyncio.timeout(PATIENCE_SECONDS):
            while services.feed._listeners:  # noqa: ASYNC110 - the server tells nobody
                await asyncio.sleep(0.01)


async def test_a_stop_ends_the_streams_first(served: Served) -> None:
    """A stop ends the streams first; otherwise they would delay it."""
    async with served.client() as client, watching(client) as (_, told):
        await anext(told)
        served.stop.set()
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert [event async for event in told] == []


async def test_proxies_and_browsers_let_it_through(served: Served) -> None:
    """Unbuffered, not cached, with its request id; a page may send Last-Event-ID."""
    async with (
        served.client() as client,
        watching(client, Origin=FRONTEND) as (response, _),
    ):
        assert response.headers["x-accel-buffering"] == "no"
        assert "no-cache" in response.headers["cache-control"]
        assert response.headers["x-request-id"]
        assert response.headers["access-control-allow-origin"] == FRONTEND
        asked = {
            "Origin": FRONTEND,
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "authorization,last-event-id",
        }
        assert (await client.options(STREAM, headers=asked)).status_code == 200


async def test_a_silent_stream_has_comments_and_loses_nothing(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Proxies end what is silent for long; the wait goes on after each comment."""
    monkeypatch.setattr(feed_module, "SILENCE", 0.05)
    async with (
        served.client() as client,
        client.stream("GET", STREAM, params={"projectId": "proj_1"}) as response,
    ):
        lines = response.aiter_lines()
        while not (await anext(lines)).startswith("retry: "):  # the first event's end
            pass
        comments = 0
        while comments < 3:
            comments += (await anext(lines)) == ": ping"
        job = (await client.post("/v1/jobs", json=job_body())).json()
        while not (line := await anext(lines)).startswith("data: {"):
            assert line in {"", ": ping", "event: job"}
    assert json.loads(line.removeprefix("data: "))["id"] == job["id"]


async def test_the_stream_is_no_job(served: Served) -> None:
    """The stream's path is no job's id, and takes no other method."""
    async with served.client() as client:
        assert (await client.patch(STREAM, json={})).status_code == 404
        assert (await client.get(f"{STREAM}/attempts")).status_code == 404
