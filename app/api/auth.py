"""Authenticate callers by their API key or browser token, and check its access."""

import re
from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest
from typing import Final, assert_never

from starlette.datastructures import Headers, QueryParams
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.problems import HTTP_CODES, ProblemResponse, problem_of
from app.domain.api_key import ApiKey, KeyAccess
from app.domain.errors import (
    NotForBrowsers,
    ReadOnlyKey,
    SchedulerError,
    TooManyRequests,
)
from app.machine.callers import act_for, acting_for
from app.service.browser_tokens import BROWSER_PREFIX
from app.use_cases import UseCases

CHALLENGE: Final = {"WWW-Authenticate": "Bearer"}
GUARDED: Final = "/v1"
STREAM: Final = "/v1/jobs/stream"
_API_KEY: Final = "api_key"  # in a request's state
_WITH_BODY: Final = frozenset({b"content-length", b"transfer-encoding"})
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_VALIDATE: Final = "/v1/jobs/validate"  # changes nothing
ASKS_TIKTOK: Final = "/creator-info"
_COMPOSING: Final = (
    ("POST", re.compile(r"/v1/jobs(/batch|/validate|/[^/]+/(retry|cancel))?")),
    ("PATCH", re.compile(r"/v1/jobs/[^/]+")),
)


class ApiKeyWall:
    """Refuse every request under /v1 without a valid key.

    Middleware, so that no route can forget it. It comes before anything that reads a
    body: of a refused caller nothing is read.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Look up the key and store it in the request's state.

        What the request uses of the database counts towards its key's share, or towards
        that of all who call the same place without a key.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        app, place = self._app, _place_of(_path_of(scope))
        with acting_for(place):
            if place == GUARDED:
                app = await self._admitted(scope)
                key: ApiKey | None = scope.get("state", {}).get(_API_KEY)
                if key is not None:
                    act_for(key.id)
            await app(scope, receive, send)

    async def _admitted(self, scope: Scope) -> ASGIApp:
        """Return what answers: the app itself, or a refusal."""
        try:
            key = await _key_of(scope)
        except SchedulerError as error:
            return _unread(problem_of(error), scope)
        scope.setdefault("state", {})[_API_KEY] = key
        if key is None:
            return await _not_known(scope)
        if refused := _refusal(key, scope):
            return _unread(problem_of(refused), scope)
        return self._app


def has_key(scope: Mapping[str, object]) -> bool:
    """Tell whether the request came with a valid key, as far as known by now."""
    state = scope.get("state")
    return isinstance(state, dict) and state.get(_API_KEY) is not None


def bearer_of(headers: Headers) -> str | None:
    """Return the token of an Authorization header."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def is_bearer(headers: Headers, expected: str) -> bool:
    """Tell, in constant time, whether the header has this token."""
    given = bearer_of(headers) or ""
    # Hashed first, so that not even the length can be measured.
    return compare_digest(_digest(given), _digest(expected))


async def answered_late(answer: ProblemResponse, scope: Scope) -> ProblemResponse:
    """Delay the 401 of a peer that failed too often."""
    if "authorization" in Headers(scope=scope) or _token_in_url(scope):
        services: UseCases = scope["app"].state.services
        # The caller's address, or the one that a trusted proxy names.
        peer = str((scope.get("client") or ("",))[0])
        if not await services.failed_authentications.failed(peer):
            answer.headers["Connection"] = "close"
    return answer


def _refusal(key: ApiKey, scope: Scope) -> SchedulerError | None:
    """Return why a known key may not do this, or not now."""
    services: UseCases = scope["app"].state.services
    try:
        services.rate_limit.take(key.id)
    except TooManyRequests as error:
        return error
    return _forbidden(key, scope["method"], _path_of(scope))


def _forbidden(key: ApiKey, method: str, path: str) -> SchedulerError | None:
    """Return why a key may not do something, None if it may."""
    reads = method in _SAFE
    match key.access:
        case KeyAccess.WRITE:
            return None
        case KeyAccess.READ if key.for_browser:
            # It costs a call to TikTok, of which there are few.
            asks_tiktok = path.endswith(ASKS_TIKTOK)
            return None if reads and not asks_tiktok else ReadOnlyKey()
        case KeyAccess.READ:
            return None if reads or path == _VALIDATE else ReadOnlyKey()
        case KeyAccess.COMPOSE:
            return None if reads or _composes(method, path) else NotForBrowsers()
        case _:
            assert_never(key.access)


def _composes(method: str, path: str) -> bool:
    return any(
        method == allowed and pattern.fullmatch(path) is not None
        for allowed, pattern in _COMPOSING
    )


async def _not_known(scope: Scope) -> ProblemResponse:
    code, _ = HTTP_CODES[401]
    detail = _why_not_known(Headers(scope=scope))
    answer = ProblemResponse(401, code=code, detail=detail, headers=CHALLENGE)
    return await answered_late(_unread(answer, scope), scope)


def _why_not_known(headers: Headers) -> str:
    """Tell what to mend; unknown, revoked and expired keys are not told apart."""
    token = bearer_of(headers)
    if token:
        return f"This {_kind(token)} is not valid: unknown, revoked or expired."
    if "authorization" in headers:
        return "The Authorization header must be: Bearer <key>."
    return HTTP_CODES[401][1]


def _kind(token: str) -> str:
    return "browser token" if token.startswith(BROWSER_PREFIX) else "API key"


def _unread(answer: ProblemResponse, scope: Scope) -> ProblemResponse:
    """Close the connection after an answer that leaves a body unread."""
    if any(name in _WITH_BODY for name, _ in scope["headers"]):
        answer.headers["Connection"] = "close"
    return answer


async def _key_of(scope: Scope) -> ApiKey | None:
    services: UseCases = scope["app"].state.services
    secret = bearer_of(Headers(scope=scope))
    if secret is None:
        token = _token_in_url(scope)
        return services.browser_tokens.read(token, in_url=True) if token else None
    if secret.startswith(BROWSER_PREFIX):
        return services.browser_tokens.read(secret)
    return await services.keys.authenticate(secret)


def _token_in_url(scope: Scope) -> str | None:
    """Return the token in the query of the stream; no other route accepts one.

    A browser's EventSource cannot send a header.
    """
    if scope["method"] != "GET" or _path_of(scope) != STREAM:
        return None
    return QueryParams(scope["query_string"]).get("token")


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def _path_of(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))


def _place_of(path: str) -> str:
    """Return a path's first part: the routes without a key differ in it."""
    return "/" + path.partition("/")[2].partition("/")[0]
