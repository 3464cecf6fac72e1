"""Spoil an answer: what each fault puts in its place."""

from typing import assert_never

from app.sandbox.answers import (
    LOG_ID_HEADER,
    Answer,
    failure,
    flat_failure,
    log_id,
    ok,
)
from app.sandbox.faults import (
    AnswerFault,
    CancelIgnored,
    Close,
    Drip,
    Empty,
    Error,
    Garbage,
    Gateway,
    Hang,
    InvalidGrant,
    OkWithoutPublishId,
    RateLimit,
    Reset,
    Reshape,
    RetryAfter,
    Truncate,
)
from app.sandbox.recording import Call, Record
from app.sandbox.reshape import reshaped, with_log_id_in
from app.sandbox.upload_faults import Cut, UploadAnswer, UploadExpired
from app.sandbox.wire import Wire

GATEWAY_PAGE = b"<html><body><h1>Bad Gateway</h1></body></html>"
GARBAGE = b"\x16\x03\x01 this is no HTTP \xff\r\n\r\n"
FLAT_CALLS = frozenset({Call.TOKEN, Call.REVOKE, Call.AUTHORIZE})
CREATOR_CAPS = (
    "spam_risk_too_many_posts",
    "spam_risk_user_banned_from_posting",
    "reached_active_user_cap",
)
"""creator_info says these with HTTP 200, on purpose.

https://developers.tiktok.com/doc/content-posting-api-reference-query-creator-info
"""

WireFault = Hang | Reset | Close | Truncate | Garbage | Drip | Cut
Replacement = (
    Error
    | RateLimit
    | InvalidGrant
    | Empty
    | Gateway
    | OkWithoutPublishId
    | CancelIgnored
    | UploadAnswer
    | UploadExpired
)


async def spoil(
    fault: AnswerFault, *, truth: Answer | None, record: Record, wire: Wire
) -> None:
    """Answer as the fault wants; `truth` is None if the call was not carried out."""
    true_answer = truth or fail(record.call, "internal_error")
    if isinstance(fault, WireFault):
        await _break(fault, true_answer, record, wire)
        return
    if isinstance(fault, Reshape):
        said = reshaped(true_answer, fault, flat=record.call in FLAT_CALLS)
    else:
        said = _instead(fault, record.call)
    record.said(said)
    await wire.answer(said)


def fail(
    call: Call,
    code: str,
    message: str | None = None,
    *,
    status: int | None = None,
    retry_after: RetryAfter | None = None,
) -> Answer:
    """Answer an error in the shape of that endpoint."""
    headers = {} if retry_after is None else {"retry-after": str(retry_after)}
    if call in FLAT_CALLS:
        return flat_failure(code, message, status=status or 400, headers=headers)
    if call is Call.CREATOR_INFO and code in CREATOR_CAPS:
        status = status or 200
    return failure(code, message, status=status, headers=headers)


async def _break(fault: WireFault, answer: Answer, record: Record, wire: Wire) -> None:
    match fault:
        case Hang():
            await wire.hang()
        case Reset():
            await wire.reset()
        case Close() | Cut(how="close"):
            await wire.close()
        case Cut():
            await wire.reset()
        case Garbage():
            await wire.close(GARBAGE)
        case Truncate():
            await wire.half(answer)
        case Drip():
            record.said(answer)
            await wire.drip(answer, fault.seconds_per_byte)
        case _:
            assert_never(fault)


def _instead(fault: Replacement, call: Call) -> Answer:
    match fault:
        case Error():
            answer = fail(
                call,
                fault.code,
                fault.message,
                status=fault.http_status,
                retry_after=fault.retry_after,
            )
            return with_log_id_in(answer, fault.log_id_in)
        case RateLimit():
            code, wait = "rate_limit_exceeded", fault.retry_after
            return fail(call, code, status=429, retry_after=wait)
        case InvalidGrant():
            return fail(call, "invalid_grant", status=fault.http_status)
        case Empty():
            return Answer(fault.http_status, "")
        case Gateway():
            headers = {LOG_ID_HEADER: log_id()}
            return Answer(fault.http_status, "", GATEWAY_PAGE, "text/html", headers)
        case OkWithoutPublishId() | CancelIgnored():
            return ok({})
        case UploadAnswer():
            named = fault.content_range
            headers = {} if named is None else {"content-range": named}
            return Answer(fault.http_status, "", headers=headers)
        case UploadExpired():
            return Answer(403, "upload_expired")
        case _:
            assert_never(fault)
