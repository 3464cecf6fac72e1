"""Answers as TikTok writes them."""

import json
from collections.abc import Mapping

from app.domain.jobs.outcome import Fault
from app.tiktok.wire import ApiAnswer


def answer(
    body: object, *, status: int = 200, retry_after: float | None = None
) -> ApiAnswer:
    """Return an answer with this JSON, or these bytes."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ApiAnswer(status=status, body=raw, retry_after=retry_after)


def ok(data: object) -> ApiAnswer:
    """Return an answer with TikTok's good word."""
    error = {"code": "ok", "message": "", "log_id": "log-1"}
    return answer({"data": data, "error": error})


def refused(
    code: str, *, status: int = 400, more: Mapping[str, str] | None = None
) -> ApiAnswer:
    """Return a refusal in TikTok's envelope."""
    error = {"code": code, **(more or {})}
    return answer({"data": {}, "error": error}, status=status)


def fault(result: object) -> Fault:
    """Return a result that is a fault."""
    assert isinstance(result, Fault)
    return result
