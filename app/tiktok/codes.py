"""The fault of a publish that failed at TikTok."""

from typing import Final

from app.domain.codes import class_of_fail_reason
from app.domain.jobs.outcome import Fault
from app.tiktok.text import clean

_MAX_CODE_LENGTH: Final = 100


def fault_of_fail_reason(reason: str | None, log_id: str | None) -> Fault:
    """Turn the fail_reason of a publish that ended FAILED into a fault."""
    code = clean(reason or "", limit=_MAX_CODE_LENGTH) or "no_fail_reason"
    return Fault(
        error_class=class_of_fail_reason(code),
        code=code,
        message=f"TikTok could not publish the video: {code}",
        log_id=log_id,
    )
