"""Small answers that the control routes share."""

import json
from collections.abc import Iterable

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.sandbox.state import Sandbox


def world_of(request: Request) -> Sandbox:
    """Give the simulated TikTok that this request is about."""
    sandbox: Sandbox = request.app.state.sandbox
    return sandbox


def items(found: Iterable[dict[str, object]]) -> Response:
    """Answer a list."""
    return JSONResponse({"items": list(found)})


def nothing() -> Response:
    """Answer that it is done, with nothing to say."""
    return Response(status_code=204)


def problem(status: int, detail: str) -> Response:
    """Answer what is wrong."""
    return JSONResponse({"detail": detail}, status_code=status)


async def unprocessable(_: Request, error: Exception) -> Response:
    """Answer nonsense with 422 and what is wrong with it, never echoing it."""
    if not isinstance(error, ValidationError):
        raise error
    found = (
        f"{'.'.join(map(str, wrong['loc'])) or 'body'}: {wrong['msg']}"
        for wrong in error.errors(include_url=False, include_input=False)
    )
    return problem(422, "; ".join(found))


def object_of(raw: bytes) -> dict[str, object] | None:
    """Read a JSON object; None if it is none."""
    try:
        body = json.loads(raw)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None
