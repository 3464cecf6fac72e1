"""The media gateway's one route: what TikTok pulls a video from."""

from typing import Final

import structlog
from fastapi import APIRouter
from fastapi.responses import Response
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from app.api.problems import problem_of
from app.api.services import Wired
from app.domain.errors import NotFound, SchedulerError
from app.service.media import Asset, AssetBroken, MediaService

log = structlog.get_logger(__name__)

router = APIRouter()

_PASSED_ON: Final = (
    "accept-ranges",
    "content-length",
    "content-range",
    "content-type",
    "etag",
    "last-modified",
)


# Of no use to callers of the API, and left out of their document.
@router.api_route(
    "/media/{token}/{name}",
    methods=["GET", "HEAD"],
    response_class=Response,
    include_in_schema=False,
)
async def get_media(token: str, services: Wired) -> Response:
    """Stream the asset, or the part that is asked for; a revoked link is not found."""
    if services.media is None:
        raise NotFound
    return _Video(services.media, token)


class _Video(Response):
    """Streams an asset with no more of it in memory than one chunk."""

    def __init__(self, media: MediaService, token: str) -> None:
        super().__init__()
        self._media = media
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the asset's server's answer on; ``send`` waits for a slow reader."""
        headers = Headers(scope=scope)
        try:
            async with self._media.open(
                self._token, method=scope["method"], headers=headers
            ) as asset:
                await _pass_on(asset, send, head_only=scope["method"] == "HEAD")
        except AssetBroken:
            # Ending here with less than was announced makes the server cut the
            # connection, so that half a video cannot be taken for a whole one.
            log.warning("an asset broke off in the middle")
        except SchedulerError as error:
            await problem_of(error)(scope, receive, send)


async def _pass_on(asset: Asset, send: Send, *, head_only: bool) -> None:
    headers = [
        (name.encode(), asset.headers[name].encode("latin-1"))
        for name in _PASSED_ON
        if name in asset.headers
    ]
    await send(
        {"type": "http.response.start", "status": asset.status, "headers": headers}
    )
    if not head_only:
        async for chunk in asset.chunks():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
