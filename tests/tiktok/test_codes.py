"""Each of TikTok's documented words, and what can be done about it."""

import pytest

from app.domain.codes import (
    CODES as TABLE,
)
from app.domain.codes import (
    class_of_code,
    class_of_fail_reason,
    class_of_oauth_code,
)
from app.domain.jobs.job import ErrorClass
from app.domain.jobs.outcome import Fault, Verdict
from app.tiktok.decode import fault_of_fail_reason

AUTH = ErrorClass.AUTH
PERMANENT = ErrorClass.PERMANENT
RATE_LIMIT = ErrorClass.RATE_LIMIT
TRANSIENT = ErrorClass.TRANSIENT

CODES = [
    ("access_token_invalid", 401, AUTH),
    ("scope_not_authorized", 401, AUTH),
    ("scope_permission_missed", 400, AUTH),
    ("invalid_param", 400, PERMANENT),
    ("invalid_params", 400, PERMANENT),
    ("invalid_file_upload", 400, PERMANENT),
    ("app_version_check_failed", 400, PERMANENT),
    ("spam_risk_too_many_posts", 403, RATE_LIMIT),
    ("spam_risk_too_many_posts", 200, RATE_LIMIT),
    ("spam_risk_too_many_pending_share", 403, RATE_LIMIT),
    ("reached_active_user_cap", 403, RATE_LIMIT),
    ("reached_active_user_cap", 200, RATE_LIMIT),
    ("spam_risk_user_banned_from_posting", 403, PERMANENT),
    ("spam_risk_user_banned_from_posting", 200, PERMANENT),
    ("unaudited_client_can_only_post_to_private_accounts", 403, PERMANENT),
    ("url_ownership_unverified", 403, PERMANENT),
    ("privacy_level_option_mismatch", 403, PERMANENT),
    ("invalid_publish_id", 400, TRANSIENT),
    ("token_not_authorized_for_specified_publish_id", 400, PERMANENT),
    ("publish_not_cancellable", 400, PERMANENT),
    ("rate_limit_exceeded", 429, RATE_LIMIT),
    ("internal_error", 500, TRANSIENT),
    ("internal_error", 200, TRANSIENT),
    ("internal", 500, TRANSIENT),
    ("invalid_grant", 200, AUTH),
    ("invalid_grant", 400, AUTH),
    ("invalid_client", 401, PERMANENT),
    ("unauthorized_client", 400, PERMANENT),
    ("invalid_scope", 400, PERMANENT),
    ("unsupported_grant_type", 400, PERMANENT),
    ("invalid_request", 400, PERMANENT),
    ("access_denied", 400, PERMANENT),
    ("server_error", 500, TRANSIENT),
    ("server_error", 200, TRANSIENT),
    ("temporarily_unavailable", 400, TRANSIENT),
]
UNKNOWN_CODES = [
    ("scope_something_new", 403, AUTH),
    ("spam_risk_too_many_comments", 403, RATE_LIMIT),
    ("spam_risk_something_new", 403, PERMANENT),
    ("something_new", 400, PERMANENT),
    ("something_new", 401, PERMANENT),
    ("something_new", 200, PERMANENT),
    ("something_new", 429, RATE_LIMIT),
    ("something_new", 500, TRANSIENT),
    ("something_new", 503, TRANSIENT),
]
REASONS = [
    ("file_format_check_failed", PERMANENT),
    ("duration_check_failed", PERMANENT),
    ("frame_rate_check_failed", PERMANENT),
    ("picture_size_check_failed", PERMANENT),
    ("internal", TRANSIENT),
    ("video_pull_failed", TRANSIENT),
    ("photo_pull_failed", TRANSIENT),
    ("publish_cancelled", PERMANENT),
    ("auth_removed", AUTH),
    ("spam_risk_too_many_posts", RATE_LIMIT),
    ("spam_risk_too_many_pending_share", RATE_LIMIT),
    ("reached_active_user_cap", RATE_LIMIT),
    ("spam_risk_user_banned_from_posting", PERMANENT),
    ("spam_risk_text", PERMANENT),
    ("spam_risk", PERMANENT),
]
UNKNOWN_REASONS = [
    ("audio_check_failed", PERMANENT),
    ("caption_pull_failed", TRANSIENT),
    ("spam_risk_too_many_drafts", RATE_LIMIT),
    ("something_new", PERMANENT),
]


@pytest.mark.parametrize(("code", "http_status", "expected"), CODES + UNKNOWN_CODES)
def test_class_of_a_code(code: str, http_status: int, expected: ErrorClass) -> None:
    """Every code, known or not, has the class that says what to do."""
    assert class_of_code(code, http_status=http_status) is expected


@pytest.mark.parametrize(
    ("code", "http_status", "expected"),
    [
        *(each for each in CODES if each[0] != "internal"),
        ("something_new", 200, TRANSIENT),
        ("something_new", 400, TRANSIENT),
        ("something_new", 401, TRANSIENT),
        ("something_new", 429, RATE_LIMIT),
        ("scope_something_new", 400, AUTH),
    ],
)
def test_class_of_a_code_of_oauth(
    code: str, http_status: int, expected: ErrorClass
) -> None:
    """An unknown code is not the post's fault: it is tried again."""
    assert class_of_oauth_code(code, http_status=http_status) is expected


@pytest.mark.parametrize(("reason", "expected"), REASONS + UNKNOWN_REASONS)
def test_class_of_a_fail_reason(reason: str, expected: ErrorClass) -> None:
    """Every fail_reason, known or not, has the class that says what to do."""
    assert class_of_fail_reason(reason) is expected


def test_no_entry_goes_untested() -> None:
    """The tables above hold every entry of the tables in use."""
    answers = {code for code, known in TABLE.items() if known.answer is not None}
    reasons = {code for code, known in TABLE.items() if known.reason is not None}
    assert {code for code, _, _ in CODES} == answers
    assert {reason for reason, _ in REASONS} == reasons


def test_fault_of_a_fail_reason() -> None:
    """A publish that failed was answered for: a new init is no second post."""
    assert fault_of_fail_reason("spam_risk_text", "log-1") == Fault(
        error_class=PERMANENT,
        code="spam_risk_text",
        message="TikTok could not publish the video: spam_risk_text",
        verdict=Verdict.ANSWERED,
        log_id="log-1",
    )


@pytest.mark.parametrize("reason", [None, "", " \n"])
def test_failed_without_a_reason(reason: str | None) -> None:
    """A missing fail_reason is as final as an unknown one."""
    fault = fault_of_fail_reason(reason, None)
    assert (fault.code, fault.error_class) == ("no_fail_reason", PERMANENT)
