"""Read TikTok's two forms of answers, and judge answers in neither form.

Success is the code ``ok``, not the HTTP status: creator_info refuses with HTTP 200, and
so does OAuth at times. Without TikTok's envelope it is unknown whether TikTok answered
at all, and so what became of the call. Only a page with a 4xx status says that the
request was refused.
https://developers.tiktok.com/doc/tiktok-api-v2-error-handling
"""

from http import HTTPStatus
from typing import Final, Protocol

from msgspec import Struct

from app.domain.codes import class_of_code, class_of_oauth_code
from app.domain.jobs.job import ErrorClass
from app.domain.jobs.outcome import Fault, Verdict
from app.tiktok.fields import Json, json_object
from app.tiktok.text import clean, redacted
from app.tiktok.wire import ApiAnswer

OK: Final = "ok"
_NO_REFUSALS: Final = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}

_MAX_CODE_LENGTH: Final = 100
_MAX_MESSAGE_LENGTH: Final = 500
_MAX_LOG_ID_LENGTH: Final = 200


class ClassOf(Protocol):
    """Returns the class of an error code of one of TikTok's two APIs."""

    def __call__(self, code: str, *, http_status: int) -> ErrorClass:
        """Return its class."""
        ...


class Envelope(Struct, frozen=True):
    """An answer's error and, if its code is ``ok``, the data."""

    code: str
    message: str
    log_id: str | None
    data: Json


def read_envelope(answer: ApiAnswer) -> Envelope | Fault:
    """Read ``{data, error: {code, message, log_id}}``."""
    body = json_object(answer.body)
    if body is None:
        return _page(answer)
    error = body.get("error") or {}
    if not isinstance(error, dict):
        return _page(answer)
    code = _code(answer, error)
    if not code and not answer.is_success:
        return _page(answer)
    data = body.get("data")
    return Envelope(
        code=code or OK,
        message=_line(answer, error.get("message"), limit=_MAX_MESSAGE_LENGTH),
        log_id=_log_id(answer, error) or _log_id(answer, body),
        data=data if isinstance(data, dict) else {},
    )


def accepted(answer: ApiAnswer) -> Envelope | Fault:
    """Read an envelope; return a refusal as a fault."""
    envelope = read_envelope(answer)
    if isinstance(envelope, Fault) or envelope.code == OK:
        return envelope
    return refusal(answer, envelope)


def read_flat(answer: ApiAnswer) -> Json | Fault:
    """Read an OAuth answer: ``{error, error_description, log_id}`` or the data itself.

    https://developers.tiktok.com/doc/oauth-error-handling
    """
    body = json_object(answer.body)
    if body is None:
        return no_envelope(answer)
    if isinstance(body.get("error"), dict):
        envelope = read_envelope(answer)
        if isinstance(envelope, Fault):
            return envelope
        if envelope.code == OK:
            return body
        return refusal(answer, envelope, class_of=class_of_oauth_code)
    code = _line(answer, body.get("error"), limit=_MAX_CODE_LENGTH)
    if code and code != OK:
        description = body.get("error_description")
        message = _line(answer, description, limit=_MAX_MESSAGE_LENGTH)
        log_id = _log_id(answer, body)
        flat = Envelope(code=code, message=message, log_id=log_id, data={})
        return refusal(answer, flat, class_of=class_of_oauth_code)
    return body if answer.is_success else no_envelope(answer)


def refusal(
    answer: ApiAnswer, envelope: Envelope, *, class_of: ClassOf = class_of_code
) -> Fault:
    """Turn a code other than ``ok`` into a fault: TikTok refused."""
    error_class = class_of(envelope.code, http_status=answer.status)
    limited = error_class is ErrorClass.RATE_LIMIT
    return Fault(
        error_class=error_class,
        code=envelope.code,
        message=envelope.message or f"TikTok answered {envelope.code}",
        http_status=answer.status,
        log_id=envelope.log_id,
        retry_after=answer.retry_after if limited else None,
    )


def bad_answer(answer: ApiAnswer, missing: str, *, log_id: str | None = None) -> Fault:
    """Return the fault of an unreadable answer: the call's fate is unknown."""
    return Fault(
        error_class=ErrorClass.TRANSIENT,
        code="bad_answer",
        message=f"TikTok's answer has no {missing} that can be read",
        verdict=Verdict.UNKNOWN,
        http_status=answer.status,
        log_id=log_id or _log_id(answer, {}),
    )


def no_envelope(answer: ApiAnswer) -> Fault:
    """Return the fault of an answer without TikTok's envelope."""
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return Fault(
            error_class=ErrorClass.RATE_LIMIT,
            code="too_many_requests",
            message="TikTok's edge answered HTTP 429",
            verdict=Verdict.UNKNOWN,
            http_status=answer.status,
            log_id=_log_id(answer, {}),
            retry_after=answer.retry_after,
        )
    if answer.is_success:
        return bad_answer(answer, "JSON")
    return Fault(
        error_class=ErrorClass.TRANSIENT,
        code="gateway_error",
        message=f"HTTP {answer.status} without TikTok's error envelope",
        verdict=Verdict.UNKNOWN,
        http_status=answer.status,
        log_id=_log_id(answer, {}),
    )


def _page(answer: ApiAnswer) -> Fault:
    """Return the fault of a page in place of the envelope."""
    if not _turned_away(answer):
        return no_envelope(answer)
    return Fault(
        error_class=ErrorClass.PERMANENT,
        code="turned_away",
        message=f"HTTP {answer.status} without TikTok's error envelope",
        http_status=answer.status,
        log_id=_log_id(answer, {}),
    )


def _turned_away(answer: ApiAnswer) -> bool:
    """Tell whether an edge server refused the request itself, unprocessed.

    A time-out is no refusal: the edge gave up on the server behind it.
    https://www.rfc-editor.org/rfc/rfc9110#name-client-error-4xx
    """
    return (
        400 <= answer.status < 500
        and answer.status not in _NO_REFUSALS
        and bool(answer.body.strip())
    )


def _code(answer: ApiAnswer, error: Json) -> str:
    # A number is another API's envelope, such as a gateway's {"error": {"code": 503}}.
    return _line(answer, error.get("code"), limit=_MAX_CODE_LENGTH)


def _log_id(answer: ApiAnswer, holder: Json) -> str | None:
    # TikTok's tables have logid, its examples log_id.
    value = holder.get("log_id") or holder.get("logid") or answer.log_id
    return _line(answer, value, limit=_MAX_LOG_ID_LENGTH) or None


def _line(answer: ApiAnswer, value: object, *, limit: int) -> str:
    if not isinstance(value, str) or not value:
        return ""
    # Redacted before it is cut: a cut could leave half a secret.
    return clean(redacted(value, answer.secrets), limit=limit)
