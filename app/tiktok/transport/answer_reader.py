"""Parse one HTTP/1.1 answer from bytes, without I/O.

The parser is llhttp, which Node.js and aiohttp use, too.
"""

from typing import Any, Final

import httptools
import httpx

MAX_ANSWER_BYTES: Final = 1024 * 1024
_FIRST_FINAL_STATUS: Final = 200
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})


class AnswerReader:
    """Reads one answer; bytes after it are an error.

    llhttp calls the methods that begin with ``on_``.
    """

    def __init__(self) -> None:
        self.status: int | None = None  # known once the headers are complete
        self.headers: dict[bytes, bytes] = {}  # names in small letters
        self.body = bytearray()
        self.whole = False
        self.keeps_alive = False
        self._parser: Any = None
        self._received = 0
        self._framed = False

    def feed(self, data: bytes) -> None:
        """Parse received bytes; raise if they are no valid answer.

        Raises httpx.RemoteProtocolError, and DecodingError if it is too large.
        """
        self._received += len(data)
        if self._received > MAX_ANSWER_BYTES:
            raise httpx.DecodingError("larger than any answer of TikTok's")
        if self._parser is None:  # made late, as thousands may wait for an answer
            self._parser = httptools.HttpResponseParser(self)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self.whole:
                raise httpx.RemoteProtocolError(type(error).__name__) from error
            self.keeps_alive = False

    def end(self) -> None:
        """Treat the end of the connection as the end of the answer.

        Raises httpx.RemoteProtocolError if the answer is incomplete.
        """
        if self.status is None or self._framed:
            raise httpx.RemoteProtocolError("closed before the answer was whole")
        self.whole = True

    def close(self) -> None:
        """Stop reading; drop the parser, which refers to this reader."""
        self._parser = None

    def on_message_begin(self) -> None:
        """Note an answer without a request: the connection cannot be reused."""
        if self.whole:
            self.keeps_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header."""
        if self.whole:
            return
        name = name.lower()
        if name in self.headers:  # repeated headers are joined to a list
            value = self.headers[name] + b", " + value
        self.headers[name] = value
        if name in _FRAMING:
            self._framed = True

    def on_headers_complete(self) -> None:
        """Note the status, unless it is an interim one."""
        status = self._parser.get_status_code()
        if not self.whole and status >= _FIRST_FINAL_STATUS:
            self.status = status

    def on_body(self, data: bytes) -> None:
        """Store a part of the body."""
        if not self.whole:
            self.body += data

    def on_message_complete(self) -> None:
        """Note that the answer is complete; an interim answer is dropped."""
        if self.status is None:
            self.headers.clear()
            self._framed = False
        elif not self.whole:
            self.whole = True
            self.keeps_alive = self._parser.should_keep_alive()
