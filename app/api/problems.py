"""Every error as application/problem+json: one table, one handler.

https://www.rfc-editor.org/rfc/rfc9457
"""

import json
import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.routing import Match

from app.domain import errors
from app.schemas.invalid import MOST, REQUIRED, field_error

log = structlog.get_logger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_SECONDS: Final = 5

STATUS: Final[Mapping[type[errors.SchedulerError], HTTPStatus]] = {
    errors.InvalidInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.InvalidState: HTTPStatus.BAD_REQUEST,
    errors.AuthorizationFailed: HTTPStatus.BAD_REQUEST,
    errors.NotYourBrowser: HTTPStatus.FORBIDDEN,
    errors.OAuthNotConfigured: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.TokenUnreadable: HTTPStatus.CONFLICT,
    errors.TikTokUnavailable: HTTPStatus.BAD_GATEWAY,
    errors.QuotaExhausted: HTTPStatus.TOO_MANY_REQUESTS,
    errors.AssetUnavailable: HTTPStatus.BAD_GATEWAY,
    errors.TooManyRequests: HTTPStatus.TOO_MANY_REQUESTS,
    errors.TooManyStreams: HTTPStatus.TOO_MANY_REQUESTS,
    errors.TooManyListeners: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.GatewayBusy: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StoreUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""The HTTP status and code of each error of the domain; subclasses inherit them."""

# The framework's own errors in our words: its texts may quote the request.
HTTP_CODES: Final[Mapping[int, tuple[str, str]]] = {
    400: ("malformed_request", "The request could not be read."),
    401: ("unauthorized", "A valid key is needed: Authorization: Bearer <key>."),
    404: (errors.NotFound.code, "There is no such path; /docs lists them all."),
    405: ("method_not_allowed", "This method is not allowed here."),
    408: ("request_timeout", "The request did not arrive in time."),
    413: ("body_too_large", "The body is larger than 64 KiB, or a batch than 1 MiB."),
    415: ("unsupported_media_type", "Send JSON, with Content-Type: application/json."),
    431: ("head_too_large", "The request's head is larger than 32 KiB."),
    500: ("internal_error", "Something went wrong on our side; it has been logged."),
    503: ("too_many_connections", "No connection is free; try again in a moment."),
}
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


class ProblemResponse(JSONResponse):
    """A problem as an answer; ASCII, as a caller's field names need not be Unicode."""

    media_type = MEDIA_TYPE

    def __init__(
        self,
        status: int,
        *,
        code: str,
        detail: str,
        fields: Sequence[errors.FieldError] = (),
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, object] | None = None,
    ) -> None:
        body: dict[str, Any] = {
            "type": "about:blank",
            "title": HTTPStatus(status).phrase,
            "status": int(status),
            "detail": detail,
            "code": code,
        }
        if fields:
            body["errors"] = [
                {"pointer": field.pointer, "detail": field.message}
                for field in fields[:MOST]
            ]
        body |= more or {}
        super().__init__(body, status_code=int(status), headers=headers)

    def render(self, content: object) -> bytes:
        """Render the body."""
        return json.dumps(content, separators=(",", ":")).encode("ascii")


def install(app: FastAPI) -> None:
    """Answer every expected error of the app with a problem."""
    for kind in (errors.SchedulerError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _handle)


def problem_of(error: Exception) -> ProblemResponse:
    """Return an error's problem; unknown errors give no detail."""
    match error:
        case errors.SchedulerError():
            return _domain_problem(error)
        case RequestValidationError():
            return _validation_problem(error)
        case HTTPException(__cause__=UnicodeDecodeError() as cause):
            before = cause.object[: cause.start].decode("utf-8", "replace")
            return _malformed("UTF-8", before)
        case HTTPException(status_code=status) if status in HTTP_CODES:
            return http_problem(status, headers=error.headers)
        case HTTPException(status_code=status):
            code = HTTPStatus(status).name.lower()
            phrase = HTTPStatus(status).phrase
            return ProblemResponse(
                status, code=code, detail=phrase, headers=error.headers
            )
        case _:
            return http_problem(500)


def http_problem(
    status: int, *, headers: Mapping[str, str] | None = None
) -> ProblemResponse:
    """Return the problem of a plain HTTP status."""
    code, detail = HTTP_CODES[status]
    return ProblemResponse(status, code=code, detail=detail, headers=headers)


def described(
    error: errors.SchedulerError, *, detail: str | None = None
) -> ProblemResponse:
    """Return the problem of an error of the domain."""
    status = STATUS[next(kind for kind in type(error).__mro__ if kind in STATUS)]
    return ProblemResponse(
        status,
        code=error.code,
        detail=detail or str(error),
        fields=error.errors if isinstance(error, errors.InvalidInput) else (),
        headers=_retry_after(error),
        more=_more(error),
    )


async def _handle(request: Request, error: Exception) -> ProblemResponse:
    response = problem_of(error)
    if isinstance(error, errors.SchedulerError):
        return response
    if response.status_code == HTTPStatus.BAD_REQUEST and _is_compressed(request):
        return _compressed()
    if isinstance(error, HTTPException):
        if response.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            return _not_allowed(request)
        if response.status_code == HTTPStatus.NOT_FOUND:
            return _no_route(request)
    return response


def _is_compressed(request: Request) -> bool:
    return request.headers.get("content-encoding", "identity") != "identity"


def _compressed() -> ProblemResponse:
    """Say why a body cannot be read.

    https://www.rfc-editor.org/rfc/rfc9110#field.accept-encoding
    """
    code, _ = HTTP_CODES[415]
    detail = "The body is compressed; send it as it is, without Content-Encoding."
    headers = {"Accept-Encoding": "identity"}
    return ProblemResponse(415, code=code, detail=detail, headers=headers)


def _no_route(request: Request) -> ProblemResponse:
    path: str = request.scope["path"]
    code, detail = HTTP_CODES[404]
    if _exists(request, path.rstrip("/")):
        detail = "There is no such path; it exists without the slash at its end."
    elif _exists(request, f"/v1{path}"):
        detail = "There is no such path; it exists with /v1 before it."
    return ProblemResponse(404, code=code, detail=detail)


def _exists(request: Request, path: str) -> bool:
    scope = {**request.scope, "path": path}
    routes = request.app.router.routes
    return any(route.matches(scope)[0] is not Match.NONE for route in routes)


def _not_allowed(request: Request) -> ProblemResponse:
    methods = allowed_methods(request)
    code, _ = HTTP_CODES[405]
    detail = f"{request.method} is not allowed here; allowed: {methods}."
    return ProblemResponse(405, code=code, detail=detail, headers={"Allow": methods})


def _domain_problem(error: errors.SchedulerError) -> ProblemResponse:
    response = described(error)
    if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        # Only the cause's name: its text may hold an address or a secret.
        log.warning(error.code, cause=type(error.__cause__).__name__)
    return response


def _more(error: errors.SchedulerError) -> Mapping[str, object] | None:
    """Return the fields that a program needs to handle the error."""
    match error:
        case errors.MayHaveBeenStored(job_id=job_id):
            return {"id": job_id}
        case errors.PostingNotAllowed(reason=str(reason)):
            return {"reason": reason}
        case _:
            return None


def _retry_after(error: errors.SchedulerError) -> Mapping[str, str] | None:
    match error:
        case (
            errors.StoreUnavailable() | errors.TooManyListeners() | errors.GatewayBusy()
        ):
            seconds: float = RETRY_AFTER_SECONDS
        case errors.QuotaExhausted() | errors.TooManyRequests():
            seconds = max(1.0, error.retry_after)
        case _:
            return None
    return {"Retry-After": str(math.ceil(seconds))}


def _validation_problem(error: RequestValidationError) -> ProblemResponse:
    found = error.errors()
    for each in found:
        if each["type"] == "json_invalid":
            return _no_json(error, at=each["loc"][-1])
    if isinstance(error.body, bytes):  # FastAPI parses only JSON
        return http_problem(415)
    wrong = errors.InvalidInput(*(field_error(each, skip=1) for each in found[:MOST]))
    if any(each["loc"] == ("body",) and each["type"] == REQUIRED for each in found):
        return described(wrong, detail="The body is empty; send JSON.")
    return _domain_problem(wrong)


def _no_json(error: RequestValidationError, *, at: int | str) -> ProblemResponse:
    """Return where a body stops being JSON, without quoting it."""
    text = error.body if isinstance(error.body, str) else ""
    return _malformed("valid JSON", text[: int(at)])


def _malformed(what: str, before: str) -> ProblemResponse:
    """Say what a body is not, and where: after which text."""
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    detail = f"The body is not {what}: see line {line}, column {column}."
    return ProblemResponse(400, code=HTTP_CODES[400][0], detail=detail)


def allowed_methods(request: Request) -> str:
    """Return an Allow header; Starlette's own has only the first matching route's.

    A literal path is no other route's parameter: /v1/jobs/batch is no job.
    https://www.rfc-editor.org/rfc/rfc9110#field.allow
    """
    path = request.scope["path"]
    routes = iter_route_contexts(request.app.routes)
    written_out = {
        method
        for route in routes
        if route.path == path
        for method in route.methods or ()
    }
    return ", ".join(
        method
        for method in _METHODS
        if (method in written_out if written_out else _is_routed(request, method))
    )


def _is_routed(request: Request, method: str) -> bool:
    scope = {**request.scope, "method": method}
    routes = request.app.router.routes
    return any(route.matches(scope)[0] is Match.FULL for route in routes)
