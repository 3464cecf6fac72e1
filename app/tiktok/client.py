"""The client: one method per endpoint of TikTok's API."""
# ruff: noqa: ASYNC109 - each call's deadline is the caller's, `timeout` is its name

from contextlib import AbstractAsyncContextManager

from app.domain.outcome import Fault
from app.domain.post import Post
from app.tiktok.http import Http
from app.tiktok.values import (
    CreatorInfo,
    InitTaken,
    PublishStatus,
    TokenGrant,
    UserInfo,
    VideoPage,
)


class TikTok:
    """TikTok's API for this app; one per process."""

    def __init__(
        self,
        *,
        base_url: str,
        client_key: str | None,
        client_secret: str | None,
        http: Http | None = None,
        timeout: float = 10.0,
    ) -> None:
        raise NotImplementedError

    def connect(self) -> "AbstractAsyncContextManager[Calls]":
        """Open a client for one attempt."""
        raise NotImplementedError


class Calls:
    """The calls of one attempt; each returns a value and raises nothing."""

    async def creator_info(
        self, access_token: str, *, timeout: float | None = None
    ) -> CreatorInfo | Fault:
        """Ask what the creator may choose."""
        raise NotImplementedError

    async def init(
        self,
        access_token: str,
        post: Post,
        video_url: str,
        *,
        timeout: float | None = None,
    ) -> InitTaken | Fault:
        """Ask TikTok to pull and publish a video."""
        raise NotImplementedError

    async def status(
        self, access_token: str, publish_id: str, *, timeout: float | None = None
    ) -> PublishStatus | Fault:
        """Ask how far a publish has got."""
        raise NotImplementedError

    async def user_info(
        self,
        access_token: str,
        *,
        scopes: tuple[str, ...] = (),
        timeout: float | None = None,
    ) -> UserInfo | Fault:
        """Ask who the account is."""
        raise NotImplementedError

    async def list_videos(
        self,
        access_token: str,
        *,
        cursor: int | None = None,
        timeout: float | None = None,
    ) -> VideoPage | Fault:
        """List public videos."""
        raise NotImplementedError

    async def refresh(
        self, refresh_token: str, *, timeout: float | None = None
    ) -> TokenGrant | Fault:
        """Trade a refresh token for a new pair."""
        raise NotImplementedError

    async def exchange_code(
        self,
        code: str,
        *,
        redirect_uri: str,
        code_verifier: str | None,
        timeout: float | None = None,
    ) -> TokenGrant | Fault:
        """Trade an authorization code for a pair of tokens."""
        raise NotImplementedError

    async def revoke(
        self, access_token: str, *, timeout: float | None = None
    ) -> Fault | None:
        """End a grant."""
        raise NotImplementedError
