"""A transport without sockets: a function takes each request and answers it."""

import ssl
from collections.abc import Callable, Coroutine

import httpx

from app.tiktok.answer import AnswerReader
from app.tiktok.names import Names
from app.tiktok.transport import Address, Transport

Handler = Callable[[httpx.Request], Coroutine[None, None, httpx.Response]]


class HandledBy(Transport):
    """Gives requests and takes answers in httpx's form."""

    def __init__(self, handler: Handler) -> None:
        super().__init__(Names(), ssl.create_default_context)
        self._handler = handler

    async def exchange(
        self,
        address: Address,
        request: bytes,
        reader: AnswerReader,
        *,
        seconds: float,
        fresh: bool = False,
    ) -> None:
        """Let the function answer."""
        head, _, content = request.partition(b"\r\n\r\n")
        first, *fields = head.decode("ascii").split("\r\n")
        method, path, _ = first.split(" ")
        scheme = "https" if address.is_tls else "http"
        response = await self._handler(
            httpx.Request(
                method,
                f"{scheme}://{address.host}:{address.port}{path}",
                headers=dict(field.split(": ", 1) for field in fields),
                content=content,
            )
        )
        reader.status = response.status_code
        for name, value in response.headers.raw:
            reader.on_header(name, value)
        reader.body += await response.aread()
