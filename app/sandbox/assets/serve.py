"""Serve assets over HTTP, as a CDN does or as badly as the query string wants."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import (
    JSONResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route

from app.sandbox.assets.content import Content
from app.sandbox.assets.pictures import PictureFormat
from app.sandbox.assets.query import TYPES, AssetQuery
from app.sandbox.replies import world_of
from app.sandbox.wire import abort, transport_of

RANGE = re.compile(r"bytes=(\d*)-(\d*)$")


def asset_routes() -> list[Route]:
    """List the addresses of videos and photos."""
    return [
        Route("/_sandbox/video.mp4", video, methods=["GET"]),
        Route("/_sandbox/photo.jpg", jpeg, methods=["GET"]),
        Route("/_sandbox/photo.webp", webp, methods=["GET"]),
        Route("/_sandbox/photo.png", png, methods=["GET"]),
    ]


async def video(request: Request) -> Response:
    """Serve ?bytes=N of video; with ?duration=, ?width= … a real little MP4."""
    return await _serve(request, "mp4")


async def jpeg(request: Request) -> Response:
    """Serve a JPEG of ?width= by ?height= pixels."""
    return await _serve(request, "jpeg")


async def webp(request: Request) -> Response:
    """Serve a WebP of ?width= by ?height= pixels."""
    return await _serve(request, "webp")


async def png(request: Request) -> Response:
    """Serve a PNG, which TikTok does not take."""
    return await _serve(request, "png")


@dataclass(frozen=True, slots=True)
class Asset:
    """Hold what is served at an address now."""

    query: AssetQuery
    kind: str
    content: Content
    changed: int

    @property
    def etag(self) -> str | None:
        """Quote the ETag, if the asset has one."""
        name = self.query.etag
        if name is None and self.query.change_after is None:
            return None
        name = name or "sandbox"
        changed = f"{name}-{self.changed}" if self.query.change_after else name
        return changed if changed.endswith('"') else f'"{changed}"'


async def _serve(request: Request, kind: str) -> Response:
    query = AssetQuery.model_validate(dict(request.query_params))
    visits, address = world_of(request).visits, str(request.url)
    counted = request.method == "GET" and not query.digest
    before = visits.count(address) if counted else visits.seen(address)
    asset = _asset(query, kind, before)
    if query.digest:
        return await _digest(asset.content)
    await asyncio.sleep(query.delay_seconds)
    refusal = _refusal(request, query, before)
    return refusal or _part(request, asset)


def _asset(query: AssetQuery, kind: str, before: int) -> Asset:
    changed = before // query.change_after if query.change_after else 0
    if kind == "mp4":
        return Asset(query, kind, query.film(changed=changed), changed)
    picture: PictureFormat = "png" if kind == "png" else "jpeg"
    if kind == "webp":
        picture = "webp"
    return Asset(query, kind, query.picture(picture, changed=changed), changed)


async def _digest(content: Content) -> Response:
    sha256 = await asyncio.to_thread(content.sha256)
    return JSONResponse({"bytes": content.size, "sha256": sha256})


def _refusal(request: Request, query: AssetQuery, before: int) -> Response | None:
    if query.redirect or query.location is not None:
        status = query.status if 300 <= query.status < 400 else 302
        return RedirectResponse(query.location or request.url.path, status)
    if query.gone_after is not None and before >= query.gone_after:
        return Response(status_code=404)
    status = query.status
    if request.method == "HEAD" and query.head_status is not None:
        status = query.head_status
    return None if status == 200 else Response(status_code=status)


def _part(request: Request, asset: Asset) -> Response:
    query, size = asset.query, asset.content.size
    wanted = _wanted(request, asset)
    span = range(size) if wanted is None else _span(wanted, size)
    if span is None:
        headers = {"content-range": f"bytes */{size}"}
        return Response(status_code=416, headers=headers)
    headers = _headers(request, asset, span)
    if wanted is not None:
        total = size if query.total is None else query.total
        headers["content-range"] = f"bytes {span.start}-{span.stop - 1}/{total}"
    head = request.method == "HEAD"
    media_type = query.type or TYPES[asset.kind]
    if head and query.head_type is not None:
        media_type = query.head_type
    body = _nothing() if head else _body(request, asset, span)
    headers["content-type"] = media_type
    return StreamingResponse(body, 200 if wanted is None else 206, headers=headers)


def _wanted(request: Request, asset: Asset) -> str | None:
    """Find the Range that counts: none if it is switched off, or If-Range fails."""
    condition = request.headers.get("if-range")
    if not asset.query.range or condition not in (None, asset.etag):
        return None
    return request.headers.get("range")


def _headers(request: Request, asset: Asset, span: range) -> dict[str, str]:
    query, headers = asset.query, {}
    if query.range:
        headers["accept-ranges"] = "bytes"
    if asset.etag is not None:
        headers["etag"] = asset.etag
    length = len(span) if query.length is None else query.length
    if request.method == "HEAD" and query.head_length is not None:
        length = query.head_length
    if not query.no_length:
        headers["content-length"] = str(length)
    return headers


async def _body(request: Request, asset: Asset, span: range) -> AsyncIterator[bytes]:
    query, sent = asset.query, 0
    announced = len(span) if query.length is None else query.length
    limits = (len(span), announced, query.stall_after, query.cut_after)
    most = min(limit for limit in limits if limit is not None)
    for piece in asset.content.pieces(span[:most]):
        async for part in _paced(piece, query.bytes_per_second):
            yield part
        sent += len(piece)
    if query.stall_after == most < len(span):
        await _until_the_caller_leaves()
    if query.cut_after == most < len(span):
        abort(request.scope)
        await _until_the_caller_leaves()
    if most < announced and not query.no_length:
        transport_of(request.scope).close()  # less than was promised
        await _until_the_caller_leaves()


async def _paced(piece: bytes, bytes_per_second: float | None) -> AsyncIterator[bytes]:
    if bytes_per_second is None:
        yield piece
        return
    step = max(int(bytes_per_second / 10), 1)
    for at in range(0, len(piece), step):
        part = piece[at : at + step]
        await asyncio.sleep(len(part) / bytes_per_second)
        yield part


async def _until_the_caller_leaves() -> None:
    await asyncio.Event().wait()  # the response is cancelled then


async def _nothing() -> AsyncIterator[bytes]:
    yield b""


def _span(header: str, size: int) -> range | None:
    match = RANGE.match(header)
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if not first:
        return range(max(size - int(last), 0), size)
    span = range(int(first), min(int(last) + 1 if last else size, size))
    return span or None
