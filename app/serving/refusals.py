"""Answers to requests that never reach the application."""

from enum import Enum
from http import HTTPStatus
from typing import Final

from app.api.problems import MEDIA_TYPE, RETRY_AFTER_SECONDS, http_problem


class Refusal(Enum):
    """Why a request or connection is refused."""

    MALFORMED = HTTPStatus.BAD_REQUEST
    TOO_SLOW = HTTPStatus.REQUEST_TIMEOUT
    HEAD_TOO_LARGE = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    BUSY = HTTPStatus.SERVICE_UNAVAILABLE

    @property
    def answer(self) -> bytes:
        """Return the complete answer, after which the connection is closed."""
        return _ANSWERS[self]


def _written(refusal: Refusal) -> bytes:
    status = refusal.value
    body = bytes(http_problem(status).body)
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"content-type: {MEDIA_TYPE}",
        f"content-length: {len(body)}",
        "cache-control: no-store",
        "x-content-type-options: nosniff",
        "connection: close",
    ]
    if refusal is Refusal.BUSY:
        lines.append(f"retry-after: {RETRY_AFTER_SECONDS}")
    return "\r\n".join((*lines, "", "")).encode("ascii") + body


_ANSWERS: Final = {each: _written(each) for each in Refusal}
