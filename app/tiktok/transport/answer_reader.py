"""One HTTP/1.1 answer, put together from the bytes as they come, without I/O.

llhttp reads it, which Node.js and aiohttp trust, too.
"""

from typing import Any, Final

import httptools
import httpx

MAX_ANSWER_BYTES: Final = 1024 * 1024
_FIRST_FINAL_STATUS: Final = 200
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})


class AnswerReader:
    """Reads one answer; what comes after it belongs to nobody.

    The methods that begin with ``on_`` are llhttp's to call.
    """

    def __init__(self) -> None:
        self.status: int | None = None  # known once the head of an answer is whole
        self.headers: dict[bytes, bytes] = {}  # names in small letters
        self.body = bytearray()
        self.whole = False
        self.keeps_alive = False
        self._parser: Any = None
        self._received = 0
        self._framed = False

    def feed(self, data: bytes) -> None:
        """Take in what arrived; raise if no answer can come of it.

        Raises httpx.RemoteProtocolError, and DecodingError if it is too large.
        """
        self._received += len(data)
        if self._received > MAX_ANSWER_BYTES:
            raise httpx.DecodingError("larger than any answer of TikTok's")
        if self._parser is None:  # not before: thousands may wait for an answer
            self._parser = httptools.HttpResponseParser(self)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self.whole:
                raise httpx.RemoteProtocolError(type(error).__name__) from error
            self.keeps_alive = False

    def end(self) -> None:
        """Take the end of the connection for the end of the answer.

        Raises httpx.RemoteProtocolError if its own framing says otherwise.
        """
        if self.status is None or self._framed:
            raise httpx.RemoteProtocolError("closed before the answer was whole")
        self.whole = True

    def close(self) -> None:
        """Read no more; lets go of the parser, which knows this reader."""
        self._parser = None

    def on_message_begin(self) -> None:
        """Note an answer to nothing, which spoils the connection for what follows."""
        if self.whole:
            self.keeps_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take in a header."""
        if self.whole:
            return
        name = name.lower()
        if name in self.headers:  # what is said twice is a list
            value = self.headers[name] + b", " + value
        self.headers[name] = value
        if name in _FRAMING:
            self._framed = True

    def on_headers_complete(self) -> None:
        """Note the status, unless a final one is still to come."""
        status = self._parser.get_status_code()
        if not self.whole and status >= _FIRST_FINAL_STATUS:
            self.status = status

    def on_body(self, data: bytes) -> None:
        """Take in a part of the body."""
        if not self.whole:
            self.body += data

    def on_message_complete(self) -> None:
        """Note that the answer is whole; one that only bids us wait is dropped."""
        if self.status is None:
            self.headers.clear()
            self._framed = False
        elif not self.whole:
            self.whole = True
            self.keeps_alive = self._parser.should_keep_alive()
