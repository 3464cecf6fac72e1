"""Routes of the media gateway, from which TikTok pulls videos and photos."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing

import structlog
from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from app.api.dependencies import Wired
from app.api.problems import problem_of
from app.domain.errors import NotFound, SchedulerError
from app.service.media import Asset, AssetBroken, MediaService

log = structlog.get_logger(__name__)

# Not for callers of the API, so not in its document.
router = APIRouter(include_in_schema=False)


@router.api_route(
    "/media/{name}", methods=["GET", "HEAD"], response_class=PlainTextResponse
)
async def get_verification(name: str, services: Wired) -> PlainTextResponse:
    """Return the file that proves the domain's owner to TikTok.

    https://developers.tiktok.com/doc/content-posting-api-media-transfer-guide
    """
    file = services.media_verification
    if file is None or name != file[0]:
        raise NotFound
    return PlainTextResponse(file[1])


@router.api_route(
    "/media/{token}/{name}", methods=["GET", "HEAD"], response_class=Response
)
async def get_media(token: str, services: Wired) -> Response:
    """Stream the asset, or the requested range; a revoked link is not found."""
    if services.media is None:
        raise NotFound
    return _Media(services.media, token)


class _Media(Response):
    """Streams an asset with one chunk in memory at a time."""

    def __init__(self, media: MediaService, token: str) -> None:
        super().__init__()
        self._media = media
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on the server's answer; ``send`` waits for a slow reader."""
        try:
            if scope["method"] == "HEAD":
                await _start(send, 200, await self._media.look(self._token))
                await send(_part(b"", more=False))
                return
            async with self._media.open(
                self._token, headers=Headers(scope=scope)
            ) as asset:
                await _unless_left(receive, asset, send)
        except AssetBroken as error:
            # Ending with fewer bytes than announced makes our server cut the
            # connection, so that half a video is not taken for a whole one.
            log.warning("an asset ended too early", reason=str(error))
        except SchedulerError as error:
            await problem_of(error)(scope, receive, send)


async def _unless_left(receive: Receive, asset: Asset, send: Send) -> None:
    """Pass on an asset until the reader disconnects."""
    passing = asyncio.create_task(_pass_on(asset, send))
    leaving = asyncio.create_task(_left(receive))
    try:
        await asyncio.wait({passing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if passing.done():
            passing.result()
    finally:
        for task in (passing, leaving):
            task.cancel()
        await asyncio.gather(passing, leaving, return_exceptions=True)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _pass_on(asset: Asset, send: Send) -> None:
    await _start(send, asset.status, asset.headers)
    async with aclosing(asset.chunks()) as chunks:
        async for chunk in chunks:
            await send(_part(chunk, more=True))
    await send(_part(b"", more=False))


async def _start(send: Send, status: int, headers: Mapping[str, str]) -> None:
    encoded = [
        (name.encode(), value.encode("latin-1")) for name, value in headers.items()
    ]
    await send({"type": "http.response.start", "status": status, "headers": encoded})


def _part(body: bytes, *, more: bool) -> dict[str, object]:
    return {"type": "http.response.body", "body": body, "more_body": more}
