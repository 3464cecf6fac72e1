"""Route of the stream of changed jobs, as server-sent events.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Final, assert_never

from fastapi import APIRouter, Depends, Header, Query
from fastapi import Request as HttpRequest
from fastapi.responses import Response
from pydantic import ConfigDict, Field
from starlette.types import Receive, Scope, Send

from app.api.dependencies import ProjectScope, Wired, caller_of
from app.api.docs import examples
from app.api.docs.declared import declared
from app.api.routing import StrictRoute
from app.domain.errors import StoreUnavailable, TooManyListeners
from app.schemas.fields import Name, Request
from app.service.jobs.listener import (
    JobChanged,
    Listener,
    Resync,
    Silence,
    StreamMessage,
    StreamReady,
)

router = APIRouter(
    route_class=StrictRoute,
    prefix="/v1/jobs",
    tags=["Jobs"],
    responses=declared(400, 401, 404, 413, 422, StoreUnavailable, TooManyListeners),
)

COME_BACK_AFTER: Final = 2000
"""Milliseconds that a client waits before it connects again."""

AT_ONCE: Final = 8
"""Events that one stream sends before it lets others run."""

_BODY: Final = "http.response.body"
_HEADERS: Final = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
_STREAM: Final[dict[str, Any]] = {
    "description": "Server-sent events until the connection ends",
    "content": {"text/event-stream": {"examples": examples.STREAM}},
}


class EventStream(Response):
    """Server-sent events of one listener.

    Starlette's and FastAPI's take a task group or three tasks for each client.
    """

    media_type = "text/event-stream"

    def __init__(self, listener: Listener) -> None:
        """Take who is listened to; its end is the answer's."""
        super().__init__(headers=_HEADERS)
        self._listener = listener

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        """Leave out the body's length."""
        super().init_headers(headers)
        del self.headers["content-length"]

    async def __call__(
        self,
        scope: Scope,  # noqa: ARG002  as ASGI
        receive: Receive,
        send: Send,
    ) -> None:
        """Write events until the listener ends, which it does when the client goes."""
        gone = asyncio.create_task(_gone(receive))
        gone.add_done_callback(lambda _: self._listener.end())
        try:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            await self._write(send)
        finally:
            gone.cancel()

    async def _write(self, send: Send) -> None:
        number = 0
        async for told in self._listener:
            await send({"type": _BODY, "body": _event(told), "more_body": True})
            number += 1
            if number % AT_ONCE == 0:  # sending does not yield while there is room
                await asyncio.sleep(0)
        await send({"type": _BODY, "body": b""})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class StreamQuery(Request):
    """Which project is watched."""

    model_config = ConfigDict(strict=False)

    project_id: Name | None = Field(
        None, description="May be left out with a key that is bound to a project"
    )
    max_seconds: int | None = Field(
        None,
        ge=1,
        le=600,
        description="Ends after so long: for a look, as on the docs page, which shows"
        " events once the stream has ended",
    )
    token: str | None = Field(
        None,
        description="A browser token that lives ten minutes at most, for `EventSource`",
    )


async def listening(
    query: Annotated[StreamQuery, Query()],
    services: Wired,
    request: HttpRequest,
    _scope: ProjectScope,
    last_event_id: Annotated[
        str | None,
        Header(
            alias="Last-Event-ID",
            description="The id of the last event seen, to go on from there",
        ),
    ] = None,
) -> AsyncIterator[Listener]:
    """Listen while the request lasts; refusals come before the stream begins."""
    async with services.feed.listen(
        query.project_id,
        since=_moment(last_event_id),
        caller=caller_of(request),
        longest=timedelta(seconds=query.max_seconds or 600),
    ) as listener:
        yield listener


@router.get(
    "/stream",
    summary="Watch jobs as they change",
    response_class=EventStream,
    status_code=HTTPStatus.OK,  # FastAPI would look for it in the class
    responses={200: _STREAM},
)
async def stream_jobs(
    listener: Annotated[Listener, Depends(listening)],
) -> EventStream:
    """Watch a project's jobs without polling.

    | event | data | what to do |
    |---|---|---|
    | `ready` | `{"resumed": …}` | unless resumed, read the list now |
    | `job` | the job, as `GET /v1/jobs/{id}` shows it | put it in the old one's place |
    | `resync` | `{}` | too much changed at once: read the list now |

    Nothing is missed between `ready` and the end of the stream.
    It sends states: of several quick changes only the newest may come, a state may come
    twice, and nothing is sent about a removed job. Each event has an `id`; send
    the last one as `Last-Event-ID` to get what changed since, up to an hour later.
    The stream ends after ten minutes, within seconds when its key is revoked, and when
    the service is restarted: connect again. Lines that start with a colon keep the
    connection open.

    A browser's `EventSource` cannot send a key, and a key has no place in a URL: give
    it a browser token as `?token=`, read the stream with `fetch`, or let your own
    backend pass it on.
    """
    return EventStream(listener)


def _event(told: StreamMessage) -> bytes:
    if isinstance(told, Silence):
        return b": ping\n\n"
    at = told.at.isoformat(timespec="microseconds")
    match told:
        case StreamReady(resumed=resumed):
            data = '{"resumed": true}' if resumed else '{"resumed": false}'
            text = f"event: ready\ndata: {data}\nid: {at}\nretry: {COME_BACK_AFTER}\n\n"
        case JobChanged():
            text = f"event: job\ndata: {told.text}\nid: {at}\n\n"
        case Resync():
            text = f"event: resync\ndata: {{}}\nid: {at}\n\n"
        case _:
            assert_never(told)
    return text.encode()


def _moment(last_event_id: str | None) -> datetime | None:
    """Read an event's id; with an invalid one the client has to read the list."""
    try:
        moment = datetime.fromisoformat(last_event_id or "")
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
