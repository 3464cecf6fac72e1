"""The address that videos are uploaded to: chunk by chunk, strictly in order.

https://developers.tiktok.com/doc/content-posting-api-media-transfer-guide
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from app.sandbox.answers import LOG_ID_HEADER, Answer, log_id
from app.sandbox.dated import tell_date
from app.sandbox.faults import AnswerFault
from app.sandbox.gate import note, prepare
from app.sandbox.intake import Intake
from app.sandbox.lifecycle import uploaded
from app.sandbox.posts import Post, PostStatus
from app.sandbox.recording import Call, Record
from app.sandbox.script import Drawn, Seen
from app.sandbox.spoil import spoil
from app.sandbox.state import Sandbox
from app.sandbox.upload import Upload, span_of
from app.sandbox.upload_faults import Cut, UploadExpired
from app.sandbox.wire import Wire

VIDEO_TYPES = ("video/mp4", "video/quicktime", "video/webm")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Hold what a PUT says of itself; what makes no sense is None."""

    http: Request
    post: Post | None
    span: range | None
    total: int
    length: int | None

    @property
    def upload(self) -> Upload | None:
        """Find the upload that it belongs to."""
        return self.post.upload if self.post else None

    @property
    def index(self) -> int | None:
        """Number the chunk as it stands in the plan, from 0."""
        upload = self.upload
        return upload.plan.index(self.span.start) if upload and self.span else None

    def to_json(self) -> dict[str, object]:
        """Give what the record shows of it: nothing that opens the door."""
        return {
            "range": self.http.headers.get("content-range"),
            "length": self.length,
            "chunk": self.index,
        }


class UploadGate:
    """Serve the upload endpoint; of the bytes only their hash is kept."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Record the chunk, let its faults strike, take it and answer."""
        chunk = _chunk_of(Request(scope, receive), self._sandbox)
        seen = _seen(chunk)
        drawn = self._sandbox.script.draw(seen, self._sandbox.random)
        record = note(self._sandbox, seen, drawn, chunk.to_json())
        tell_date(scope, drawn.date)
        await prepare(self._sandbox, seen, drawn)
        try:
            await self._respond(chunk, drawn, record, Wire(scope, receive, send))
        except ClientDisconnect:
            return  # a chunk that does not come whole is not taken

    async def _respond(
        self, chunk: Chunk, drawn: Drawn, record: Record, wire: Wire
    ) -> None:
        fault = drawn.answer
        if isinstance(fault, Cut):
            await self._read_part(chunk, drawn, fault)
            await spoil(fault, truth=None, record=record, wire=wire)
            return
        if isinstance(fault, UploadExpired) and chunk.upload:
            chunk.upload.expires_at = min(chunk.upload.expires_at, self._sandbox.now())
        truth = await self._carry_out(chunk, drawn, fault)
        if truth is not None:
            record.taken = truth.ok
        if fault is not None:
            await spoil(fault, truth=truth, record=record, wire=wire)
        elif truth is not None:
            record.said(truth)
            await wire.answer(truth)

    async def _carry_out(
        self, chunk: Chunk, drawn: Drawn, fault: AnswerFault | None
    ) -> Answer | None:
        """Read the chunk whole, and take it unless something speaks against it."""
        refusal = self._refusal(chunk)
        upload = chunk.upload
        intake = upload.taken.branch() if upload and not refusal else Intake()
        async for piece in _pieces(chunk.http, drawn):
            intake.add(piece)
        if fault is not None and not fault.taken:
            return None
        return refusal or self._take(chunk, intake)

    def _take(self, chunk: Chunk, intake: Intake) -> Answer:
        upload = chunk.upload
        if upload is None or not self._keep(chunk, intake):
            return _refuse(416, "another chunk came in between")
        return _progress(upload)

    def _keep(self, chunk: Chunk, intake: Intake) -> bool:
        """Keep what came of a chunk; no if the upload went on meanwhile."""
        post, upload, span = chunk.post, chunk.upload, chunk.span
        if post is None or upload is None or span is None or not _open(post):
            return False
        kept = upload.take(span.start, intake)
        if kept and upload.complete:
            uploaded(self._sandbox, post, upload)
        return kept

    async def _read_part(self, chunk: Chunk, drawn: Drawn, cut: Cut) -> None:
        upload, span = chunk.upload, chunk.span
        intake = upload.taken.branch() if upload else Intake()
        whole = len(span) if span else chunk.length or 0
        wanted = whole // 2 if cut.after_bytes is None else cut.after_bytes
        begun = intake.count
        if wanted:
            async for piece in _pieces(chunk.http, drawn):
                intake.add(piece[: begun + wanted - intake.count])
                if intake.count >= begun + wanted:
                    break
        if cut.keep and not self._refusal(chunk):
            self._keep(chunk, intake)

    def _refusal(self, chunk: Chunk) -> Answer | None:
        post, upload, span = chunk.post, chunk.upload, chunk.span
        if post is None or upload is None:
            return _refuse(404, "there is no such upload")
        if upload.expires_at <= self._sandbox.now():
            return _refuse(403, "the upload URL has expired")
        if post.status is PostStatus.FAILED:
            return _refuse(403, "the publish has failed")
        media_type = chunk.http.headers.get("content-type", "").partition(";")[0]
        if media_type.strip().lower() not in VIDEO_TYPES:
            return _refuse(400, "Content-Type is none of a video")
        if span is None or not span or span.stop > chunk.total:
            return _refuse(400, "Content-Range is missing or malformed")
        if chunk.length != len(span) or chunk.total != upload.plan.size:
            return _refuse(400, "Content-Length, Content-Range and size disagree")
        if span.start != upload.taken.count or not _open(post):
            return _refuse(416, "the range does not go on where the upload is")
        if span.stop != upload.plan.stop(span.start):
            return _refuse(400, "the chunk is not as long as it was said to be")
        return None


def _open(post: Post) -> bool:
    return post.status is PostStatus.PROCESSING_UPLOAD


def _chunk_of(http: Request, sandbox: Sandbox) -> Chunk:
    query, length = http.query_params, http.headers.get("content-length", "")
    found = span_of(http.headers.get("content-range", ""))
    post = sandbox.posts.uploading(
        query.get("upload_id", ""), query.get("upload_token", "")
    )
    return Chunk(
        http=http,
        post=post,
        span=found[0] if found else None,
        total=found[1] if found else 0,
        length=int(length) if length.isdecimal() else None,
    )


def _seen(chunk: Chunk) -> Seen:
    post = chunk.post
    return Seen(
        call=Call.UPLOAD,
        open_id=post.open_id if post else None,
        publish_id=post.publish_id if post else None,
        title=post.title if post else None,
        chunk=chunk.index,
    )


async def _pieces(http: Request, drawn: Drawn) -> AsyncIterator[bytes]:
    slow = drawn.slow_read
    async for piece in http.stream():
        if slow is not None:
            await asyncio.sleep(len(piece) / slow.bytes_per_second)
        yield piece


def _progress(upload: Upload) -> Answer:
    taken, size = upload.taken.count, upload.plan.size
    headers = {
        "content-range": f"bytes 0-{taken}/{size}",
        LOG_ID_HEADER: log_id(),
    }
    return Answer(201 if upload.complete else 206, "ok", headers=headers)


def _refuse(status: int, why: str) -> Answer:
    # What TikTok writes here is not documented: a line for people, nothing to parse.
    headers, body = {LOG_ID_HEADER: log_id()}, f"{why}\n".encode()
    return Answer(status, f"upload_{status}", body, "text/plain", headers)
