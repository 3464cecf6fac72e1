"""The client: one method per endpoint of TikTok's API."""
# ruff: noqa: ASYNC109 - each call has its own deadline, and `timeout` is its name

import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING, Final, Self, TypeVar

from msgspec import Struct, field

from app.domain.accounts.account import CreatorInfo
from app.domain.guarded import Guarded, Hidden
from app.domain.jobs.job import ErrorClass
from app.domain.jobs.outcome import Fault, Verdict
from app.domain.posts.post import Post, PostMode
from app.domain.posts.upload import ChunkPlan
from app.machine.sink import Sink
from app.tiktok import decode, encode
from app.tiktok.upload_answers import ChunkRequest, UploadAnswer, fault_of_answer
from app.tiktok.values import (
    InitTaken,
    PublishStatus,
    TokenGrant,
    UploadTaken,
    UserInfo,
    VideoPage,
)
from app.tiktok.wire import ApiAnswer, ApiRequest, Endpoint, OnCall, nobody_listens

if TYPE_CHECKING:
    from app.tiktok.transport.session import Http, Session
    from app.tiktok.transport.uploader import Uploader

T = TypeVar("T")

NOT_CONFIGURED: Final = Fault(
    error_class=ErrorClass.PERMANENT,
    code="client_not_configured",
    message="TIKTOK_CLIENT_KEY and TIKTOK_CLIENT_SECRET are needed for this",
    verdict=Verdict.NOT_SENT,
)


class _UnderWay(Struct):
    """How many calls are running."""

    calls: int = 0


class _App(Guarded, frozen=True):
    """This app, as registered with TikTok."""

    base_url: str
    client_key: str | None
    client_secret: Hidden[str | None]
    timeout: float  # seconds
    on_call: OnCall
    under_way: _UnderWay = field(default_factory=_UnderWay)


class TikTok:
    """TikTok's API for this app; one per process."""

    def __init__(
        self,
        *,
        base_url: str,
        client_key: str | None,
        client_secret: str | None,
        http: "Http | None" = None,
        timeout: float = 10.0,
        on_call: OnCall = nobody_listens,
    ) -> None:
        self._app = _App(base_url, client_key, client_secret, timeout, on_call)
        self._http = http

    def connect(self) -> AbstractAsyncContextManager["Calls"]:
        """Open a session for one attempt's calls."""
        return Calls(self._app, self.ready().connect(self._app.base_url))

    def is_calling(self) -> bool:
        """Tell whether an answer is waited for; from any thread."""
        return self._app.under_way.calls > 0

    def ready(self) -> "Http":
        """Import what the first call needs, if that is still to be done."""
        if self._http is None:
            # httpx takes 30 ms to import, and many a process never calls TikTok.
            from app.tiktok.transport.session import Http

            self._http = Http()
        return self._http


class Calls:
    """The calls of one attempt.

    Each returns a value and raises nothing but its own cancellation; ``timeout`` is the
    seconds it may take from beginning to end.
    """

    def __init__(self, app: _App, session: "Session") -> None:
        self._app = app
        self._session = session
        self._uploader: Uploader | None = None  # most attempts need none

    async def __aenter__(self) -> Self:
        """Begin."""
        await self._session.__aenter__()
        return self

    async def __aexit__(self, *raised: object) -> None:
        """Hang up."""
        if self._uploader is not None:
            await self._uploader.close()
        await self._session.__aexit__(*raised)

    def creator_info(
        self, access_token: str, *, timeout: float | None = None
    ) -> Awaitable[CreatorInfo | Fault]:
        """Ask what the creator may choose; needs the scope video.publish."""
        request = encode.creator_info(access_token)
        return self._call(Endpoint.CREATOR_INFO, request, decode.creator_info, timeout)

    def init(
        self,
        access_token: str,
        post: Post,
        video_url: str,
        *,
        timeout: float | None = None,
    ) -> Awaitable[InitTaken | Fault]:
        """Ask TikTok to pull a video and post it; check the verdict of a fault.

        TikTok has no idempotency keys: after ``Verdict.UNKNOWN`` the same call may post
        twice.
        """
        request = encode.init(access_token, post, video_url)
        return self._call(_init_endpoint(post), request, decode.init, timeout)

    def upload_init(
        self,
        access_token: str,
        post: Post,
        plan: ChunkPlan,
        *,
        timeout: float | None = None,
    ) -> Awaitable[UploadTaken | Fault]:
        """Ask where to send a video; nothing is posted before its last byte arrives.

        After ``Verdict.UNKNOWN`` the call may be repeated: nobody knows the URL.
        """
        request = encode.upload_init(access_token, post, plan)
        return self._call(_init_endpoint(post), request, decode.upload_init, timeout)

    async def upload(
        self,
        chunk: ChunkRequest,
        pour: Callable[[Sink], Awaitable[None]],
        *,
        seconds: float,
        silence: float,
    ) -> UploadAnswer:
        """Send a chunk; see ``Uploader.put``. Raises what ``pour`` raises."""
        if self._uploader is None:
            self._uploader = self._session.uploader()
        began = time.perf_counter()
        answer = await self._uploader.put(chunk, pour, seconds=seconds, silence=silence)
        fault = fault_of_answer(answer)
        self._app.on_call(Endpoint.UPLOAD, fault, time.perf_counter() - began)
        return answer

    def photo_init(
        self,
        access_token: str,
        post: Post,
        urls: Sequence[str],
        *,
        timeout: float | None = None,
    ) -> Awaitable[InitTaken | Fault]:
        """Ask TikTok to pull photos and post them; otherwise as ``init``."""
        request = encode.photo_init(access_token, post, urls)
        return self._call(Endpoint.PHOTO_INIT, request, decode.init, timeout)

    def cancel(self, access_token: str, publish_id: str) -> Awaitable[Fault | None]:
        """Ask TikTok to cancel a pull; its agreement proves nothing yet."""
        request = encode.cancel(access_token, publish_id)
        return self._call(Endpoint.CANCEL, request, decode.cancelled)

    def status(
        self, access_token: str, publish_id: str, *, timeout: float | None = None
    ) -> Awaitable[PublishStatus | Fault]:
        """Ask how far a publish has got."""
        request = encode.status(access_token, publish_id)
        return self._call(Endpoint.STATUS, request, decode.status, timeout)

    def user_info(
        self,
        access_token: str,
        *,
        scopes: Collection[str] = (),
        timeout: float | None = None,
    ) -> Awaitable[UserInfo | Fault]:
        """Ask who the account is, as far as its scopes allow."""
        request = encode.user_info(access_token, scopes=scopes)
        return self._call(Endpoint.USER_INFO, request, decode.user_info, timeout)

    def list_videos(
        self,
        access_token: str,
        *,
        cursor: int | None = None,
    ) -> Awaitable[VideoPage | Fault]:
        """List public videos, newest first; needs the scope video.list."""
        request = encode.list_videos(access_token, cursor=cursor)
        return self._call(Endpoint.LIST_VIDEOS, request, decode.list_videos)

    def refresh(
        self, refresh_token: str, *, timeout: float | None = None
    ) -> Awaitable[TokenGrant | Fault]:
        """Trade a refresh token, which ends with it, for a new pair."""
        request = self._as_client(partial(encode.refresh, refresh_token))
        read = partial(decode.refreshed, refresh_token=refresh_token)
        return self._call(Endpoint.REFRESH, request, read, timeout)

    def exchange_code(
        self,
        code: str,
        *,
        redirect_uri: str,
        code_verifier: str | None,
    ) -> Awaitable[TokenGrant | Fault]:
        """Trade an authorization code, which works once, for a pair of tokens."""
        ask = partial(
            encode.exchange_code,
            code,
            redirect_uri=redirect_uri,
            code_verifier=code_verifier,
        )
        request = self._as_client(ask)
        return self._call(Endpoint.EXCHANGE_CODE, request, decode.exchanged)

    def revoke(self, access_token: str) -> Awaitable[Fault | None]:
        """Revoke a grant."""
        request = self._as_client(partial(encode.revoke, access_token))
        return self._call(Endpoint.REVOKE, request, decode.revoked)

    def _as_client(self, ask: Callable[..., ApiRequest]) -> ApiRequest | Fault:
        key, secret = self._app.client_key, self._app.client_secret
        if not key or not secret:
            return NOT_CONFIGURED
        return ask(client_key=key, client_secret=secret)

    async def _call(
        self,
        endpoint: Endpoint,
        request: ApiRequest | Fault,
        read: Callable[[ApiAnswer], T | Fault],
        timeout: float | None = None,
    ) -> T | Fault:
        if isinstance(request, Fault):
            return request
        seconds = self._app.timeout if timeout is None else timeout
        began = time.perf_counter()
        self._app.under_way.calls += 1
        try:
            answer = await self._session.send(request, seconds=seconds)
        finally:
            self._app.under_way.calls -= 1
        result = answer if isinstance(answer, Fault) else read(answer)
        fault = result if isinstance(result, Fault) else None
        self._app.on_call(endpoint, fault, time.perf_counter() - began)
        return result


def _init_endpoint(post: Post) -> Endpoint:
    drafts = post.mode is PostMode.INBOX
    return Endpoint.INBOX_INIT if drafts else Endpoint.INIT
