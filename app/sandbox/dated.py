"""The Date header, by which callers can tell how far their clock is off."""

from email.utils import formatdate
from functools import lru_cache

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.sandbox.faults import DateHeader
from app.sandbox.state import Sandbox

EXTENSION = "sandbox.date"
AS_IT_IS = DateHeader(kind="date")


class Dated:
    """Write the simulator's time on every answer, as TikTok does."""

    def __init__(self, app: ASGIApp, sandbox: Sandbox) -> None:
        self._app = app
        self._sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, and date the answer when it starts."""

        async def dating(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = date_line(self._sandbox, scope)
                message = {**message, "headers": [*message["headers"], *date]}
            await send(message)

        await self._app(scope, receive, dating)


def tell_date(scope: Scope, fault: DateHeader | None) -> None:
    """Note how the answer to this call is to be dated."""
    if fault is not None:
        scope.setdefault("extensions", {})[EXTENSION] = fault


def date_line(sandbox: Sandbox, scope: Scope) -> list[tuple[bytes, bytes]]:
    """Write the header; no line at all if it is to be left out."""
    fault: DateHeader = scope.get("extensions", {}).get(EXTENSION, AS_IT_IS)
    if fault.omit:
        return []
    shift = sandbox.settings.date_shift_seconds + fault.shift_seconds
    value = fault.value or _http_date(int(sandbox.now() + shift))
    return [(b"date", value.encode())]


@lru_cache(maxsize=64)
def _http_date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)
