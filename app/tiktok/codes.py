"""TikTok's words for what went wrong, and what can be done about each.

https://developers.tiktok.com/doc/content-posting-api-reference-direct-post
https://developers.tiktok.com/doc/content-posting-api-reference-get-video-status
https://developers.tiktok.com/doc/tiktok-api-v2-error-handling
https://developers.tiktok.com/doc/oauth-error-handling
"""

from typing import Final

from app.domain.job import ErrorClass
from app.domain.outcome import Fault
from app.tiktok.text import clean

_AUTH: Final = ErrorClass.AUTH
_PERMANENT: Final = ErrorClass.PERMANENT
_RATE_LIMIT: Final = ErrorClass.RATE_LIMIT
_TRANSIENT: Final = ErrorClass.TRANSIENT

TOKEN_REFUSED: Final = "access_token_invalid"  # noqa: S105 - TikTok's code, no secret

ERROR_CODES: Final[dict[str, ErrorClass]] = {
    # Any call
    TOKEN_REFUSED: _AUTH,
    "scope_not_authorized": _AUTH,  # a refresh adds no scope
    "scope_permission_missed": _AUTH,
    "invalid_param": _PERMANENT,
    "invalid_params": _PERMANENT,  # both spellings are in use
    "rate_limit_exceeded": _RATE_LIMIT,
    "internal_error": _TRANSIENT,
    "internal": _TRANSIENT,
    # Publishing
    "invalid_file_upload": _PERMANENT,
    "app_version_check_failed": _PERMANENT,
    "spam_risk_too_many_posts": _RATE_LIMIT,
    "spam_risk_too_many_pending_share": _RATE_LIMIT,
    "reached_active_user_cap": _RATE_LIMIT,  # of the whole app
    "spam_risk_user_banned_from_posting": _PERMANENT,
    "unaudited_client_can_only_post_to_private_accounts": _PERMANENT,
    "url_ownership_unverified": _PERMANENT,
    "privacy_level_option_mismatch": _PERMANENT,
    # Status: a fresh publish_id is not known everywhere at once
    "invalid_publish_id": _TRANSIENT,
    "token_not_authorized_for_specified_publish_id": _PERMANENT,
    "publish_not_cancellable": _PERMANENT,
    # OAuth: only a dead grant is the account's fault, the rest is configuration
    "invalid_grant": _AUTH,
    "invalid_client": _PERMANENT,
    "unauthorized_client": _PERMANENT,
    "invalid_scope": _PERMANENT,
    "unsupported_grant_type": _PERMANENT,
    "invalid_request": _PERMANENT,
    "access_denied": _PERMANENT,
}

FAIL_REASONS: Final[dict[str, ErrorClass]] = {
    "file_format_check_failed": _PERMANENT,
    "duration_check_failed": _PERMANENT,
    "frame_rate_check_failed": _PERMANENT,
    "picture_size_check_failed": _PERMANENT,
    "internal": _TRANSIENT,  # TikTok: may be tried again
    "video_pull_failed": _TRANSIENT,  # TikTok: again, if the URL is sound
    "photo_pull_failed": _TRANSIENT,
    "publish_cancelled": _PERMANENT,
    "auth_removed": _AUTH,
    "spam_risk_too_many_posts": _RATE_LIMIT,
    "spam_risk_too_many_pending_share": _RATE_LIMIT,
    "reached_active_user_cap": _RATE_LIMIT,
    "spam_risk_user_banned_from_posting": _PERMANENT,
    "spam_risk_text": _PERMANENT,
    "spam_risk": _PERMANENT,  # TikTok: repeating it endangers the account
}

_MAX_CODE_LENGTH: Final = 100


def class_of_code(code: str, *, http_status: int) -> ErrorClass:
    """Say what can be done about an error code; codes get added, so any is taken."""
    known = ERROR_CODES.get(code)
    if known is not None:
        return known
    if code.startswith("scope_"):
        return _AUTH
    if code.startswith("spam_risk_too_many_") or http_status == 429:
        return _RATE_LIMIT
    return _TRANSIENT if http_status >= 500 else _PERMANENT


def class_of_fail_reason(reason: str) -> ErrorClass:
    """Say what can be done about a failed publish."""
    known = FAIL_REASONS.get(reason)
    if known is not None:
        return known
    if reason.startswith("spam_risk_too_many_"):
        return _RATE_LIMIT
    # Of the rest only failed pulls are documented as worth a second try.
    return _TRANSIENT if reason.endswith("_pull_failed") else _PERMANENT


def fault_of_fail_reason(reason: str | None, log_id: str | None) -> Fault:
    """Turn the fail_reason of a publish that ended FAILED into a fault."""
    code = clean(reason or "", limit=_MAX_CODE_LENGTH) or "no_fail_reason"
    return Fault(
        error_class=class_of_fail_reason(code),
        code=code,
        message=f"TikTok could not publish the video: {code}",
        log_id=log_id,
    )
