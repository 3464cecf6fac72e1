"""Send requests to others' servers, limited in time, without redirects or proxies."""

import ssl
from functools import cached_property
from urllib.parse import SplitResult, urlsplit

from app.outbound.dialer import Dialer, Resolve, Resolver
from app.outbound.errors import Refused
from app.outbound.exchange import READ_BYTES, Headers, Response, exchange


class Outbound:
    """Makes requests to URLs that others chose; one per process.

    With ``allow_private``, private addresses, http and every port are called too.
    """

    def __init__(self, *, allow_private: bool, resolve: Resolve | None = None) -> None:
        self._allow_private = allow_private
        self._dialer = Dialer(
            allow_private=allow_private, resolve=resolve or Resolver()
        )
        self._buffer = bytearray(READ_BYTES)

    async def open(
        self,
        method: str,
        url: str,
        *,
        headers: Headers | None = None,
        body: bytes | None = None,
        seconds: float | None = None,
    ) -> Response:
        """Send a request and return its answer, which has to be closed.

        ``seconds`` limits everything up to the answer's headers. Redirects are not
        followed. Raises Refused, Unreachable or TooSlow.
        """
        parts = self._checked(url)
        return await exchange(
            method,
            parts,
            headers=headers or {},
            body=body,
            seconds=seconds,
            dialer=self._dialer,
            tls=self._tls if parts.scheme == "https" else None,
            buffer=self._buffer,
        )

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        import certifi

        return ssl.create_default_context(cafile=certifi.where())

    def _checked(self, url: str) -> SplitResult:
        parts = _split(url)
        schemes = {"http", "https"} if self._allow_private else {"https"}
        if parts.scheme not in schemes or not parts.hostname or "@" in parts.netloc:
            raise Refused("the URL is not one that is called")
        return parts


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # it is read only when asked for
    except ValueError as error:
        raise Refused("the URL is not valid") from error
    return parts
