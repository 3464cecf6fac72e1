"""Read a TikTok call: whose it is, what it is about, and which faults it meets."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.datastructures import QueryParams
from starlette.requests import Request

from app.sandbox.recording import Call
from app.sandbox.script import Drawn, Seen
from app.sandbox.state import Sandbox

Body = Mapping[str, object]

MAX_BODY = 1024 * 1024
"""Far more than any call needs; the rest is not kept."""

FORM_CALLS = frozenset({Call.TOKEN, Call.REVOKE})
CREDENTIALS = ("refresh_token", "code", "token")
"""Form fields that tell whose call it is when there is no bearer token."""


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """Hold one call as the handlers see it; `body` is None if it is unreadable."""

    seen: Seen
    query: QueryParams
    body: Body | None
    token: str | None
    drawn: Drawn
    base_url: str
    """The address that the caller used, without a slash at the end."""

    @property
    def call(self) -> Call:
        """Name the endpoint."""
        return self.seen.call

    def text(self, name: str) -> str | None:
        """Read a non-empty string of the body."""
        return text_of((self.body or {}).get(name))


async def read_request(http: Request, call: Call, sandbox: Sandbox) -> ApiRequest:
    """Read the call and draw its faults from the script."""
    body = _decode(await _read(http), form=call in FORM_CALLS)
    token = _bearer(http.headers.get("authorization", ""))
    known = body or {}
    post = sandbox.posts.get(text_of(known.get("publish_id")))
    seen = Seen(
        call=call,
        open_id=_owner(http, token, known, call=call, sandbox=sandbox),
        publish_id=text_of(known.get("publish_id")),
        title=post.title if post else _title(known),
    )
    drawn = sandbox.script.draw(seen, sandbox.random)
    base_url = f"{http.scope['scheme']}://{http.headers.get('host', '')}"
    return ApiRequest(seen, http.query_params, body, token, drawn, base_url)


def text_of(value: object) -> str | None:
    """Keep a value that is a string with something in it."""
    return value if isinstance(value, str) and value else None


async def _read(http: Request) -> bytes:
    raw = bytearray()
    async for piece in http.stream():
        # What is over the limit is read and dropped: it decodes to nothing.
        raw += piece[: MAX_BODY - len(raw)]
    return bytes(raw)


def _decode(raw: bytes, *, form: bool) -> Body | None:
    try:
        if form:
            return dict(parse_qsl(raw.decode()))
        body = json.loads(raw) if raw else {}
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _bearer(header: str) -> str | None:
    scheme, _, token = header.partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _owner(
    http: Request,
    token: str | None,
    body: Body,
    *,
    call: Call,
    sandbox: Sandbox,
) -> str | None:
    if call is Call.AUTHORIZE:
        return http.query_params.get("open_id", sandbox.settings.signed_in_as)
    credentials = (token, *(text_of(body.get(name)) for name in CREDENTIALS))
    return next(
        (sandbox.accounts.owner(secret) for secret in credentials if secret), None
    )


def _title(body: Body) -> str | None:
    info = body.get("post_info")
    return text_of(info.get("title")) if isinstance(info, dict) else None
