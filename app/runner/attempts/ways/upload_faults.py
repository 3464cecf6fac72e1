"""The faults of uploads."""

from typing import Final

from app.domain.codes import OUT_OF_RESOURCES
from app.domain.jobs.job import ErrorClass
from app.domain.jobs.outcome import Fault
from app.machine.shortage import is_shortage
from app.outbound.source import SourceFailed, SourceTrouble
from app.tiktok.upload_answers import UploadAnswer

UPLOAD_FAILED: Final = "upload_failed"
UPLOAD_REFUSED: Final = "upload_refused"
UPLOAD_TOO_SLOW: Final = "upload_too_slow"
UPLOAD_URL_OVER: Final = "upload_url_over"
UPLOAD_HOST_REFUSED: Final = "upload_host_refused"

_SHORTAGE: Final = Fault(
    error_class=ErrorClass.TRANSIENT,
    code=OUT_OF_RESOURCES,
    message="this process lacks what a connection takes",
)
_WORDS: Final = {
    SourceTrouble.UNREACHABLE: "the video cannot be read from its address",
    SourceTrouble.NO_LENGTH: "the video's server does not tell how long it is",
    SourceTrouble.NO_RANGE: "the video's server cannot go on in the middle of it",
    SourceTrouble.CHANGED: "the video changed while it was being sent",
    SourceTrouble.TOO_LARGE: "the video is larger than TikTok takes",
    SourceTrouble.EMPTY: "the video's address leads to an empty file",
    SourceTrouble.REFUSED: "the video's address is not one that is called",
}
_FOR_GOOD: Final = frozenset(
    {SourceTrouble.NO_LENGTH, SourceTrouble.TOO_LARGE, SourceTrouble.REFUSED}
)


def upload_fault(
    code: str, message: str, *, error_class: ErrorClass = ErrorClass.TRANSIENT
) -> Fault:
    """Return the fault of an upload that failed."""
    return Fault(error_class=error_class, code=code, message=message)


def fault_of_source(failed: SourceFailed) -> Fault:
    """Return the fault of a video that cannot be read; nothing was sent."""
    if is_shortage(failed):
        return _SHORTAGE
    for_good = failed.trouble in _FOR_GOOD
    return Fault(
        error_class=ErrorClass.PERMANENT if for_good else ErrorClass.TRANSIENT,
        code=failed.trouble.value,
        message=f"{_WORDS[failed.trouble]}: {failed}",
    )


def fault_of_chunk(answer: UploadAnswer) -> Fault:
    """Return the fault of a chunk that may be sent again."""
    if answer.lacks_resources:
        return _SHORTAGE
    return Fault(
        error_class=ErrorClass.TRANSIENT,
        code=UPLOAD_FAILED,
        message=answer.trouble or f"the upload host answered HTTP {answer.status}",
        http_status=answer.status,
        log_id=answer.log_id,
    )


def fault_of_refusal(answer: UploadAnswer, *, is_over: bool) -> Fault:
    """Return the fault of an upload that its host ends."""
    return Fault(
        error_class=ErrorClass.TRANSIENT if is_over else ErrorClass.PERMANENT,
        code=UPLOAD_URL_OVER if is_over else UPLOAD_REFUSED,
        message=f"TikTok's upload host answered HTTP {answer.status}",
        http_status=answer.status,
    )
