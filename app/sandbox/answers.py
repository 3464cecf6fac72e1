"""What TikTok says: its two shapes of answer, and its error codes."""

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

JSON_TYPE = "application/json; charset=utf-8"
LOG_ID_HEADER = "x-tt-logid"
"""Where every answer carries its log id, error pages of TikTok's edge too."""

# Statuses and codes: https://developers.tiktok.com/doc/tiktok-api-v2-error-handling
# and the error tables of the Content Posting API reference.
STATUS_OF_CODE: Mapping[str, int] = {
    "ok": 200,
    "access_token_invalid": 401,
    "scope_not_authorized": 401,
    "rate_limit_exceeded": 429,
    "internal_error": 500,
    "spam_risk_too_many_posts": 403,
    "spam_risk_too_many_pending_share": 403,
    "spam_risk_user_banned_from_posting": 403,
    "reached_active_user_cap": 403,
    "unaudited_client_can_only_post_to_private_accounts": 403,
    "url_ownership_unverified": 403,
    "privacy_level_option_mismatch": 403,
    "invalid_client": 401,
}

MESSAGE_OF_CODE: Mapping[str, str] = {
    "access_token_invalid": (
        "The access token is invalid or not found in the request."
    ),
    "scope_not_authorized": (
        "The user did not authorize the scope required for completing this request."
    ),
    "rate_limit_exceeded": "The API rate limit was exceeded. Please try again later.",
    "internal_error": "Something went wrong. Please try again later.",
    "privacy_level_option_mismatch": (
        "The privacy level is not one of the creator's options."
    ),
    "invalid_publish_id": "The publish_id does not exist.",
    "token_not_authorized_for_specified_publish_id": (
        "The access token does not have authorization for the specified publish_id."
    ),
    "publish_not_cancellable": "The publish can not be cancelled any more.",
    "url_ownership_unverified": ("Please review our URL ownership verification rules."),
    "invalid_grant": "Authorization code or refresh token is invalid or expired.",
    "temporarily_unavailable": "Service is temporarily unavailable.",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """Hold one HTTP answer together with the verdict it carries."""

    status: int
    code: str
    body: bytes = b""
    content_type: str = JSON_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)
    publish_id: str | None = None

    @property
    def ok(self) -> bool:
        """Tell whether the call took effect."""
        return self.code == "ok"


def ok(data: Mapping[str, object], *, publish_id: str | None = None) -> Answer:
    """Wrap data in TikTok's envelope with the code ok."""
    error = _error("ok", "")
    return Answer(
        200,
        "ok",
        encode({"data": data, "error": error}),
        headers={LOG_ID_HEADER: error["log_id"]},
        publish_id=publish_id,
    )


def failure(
    code: str,
    message: str | None = None,
    *,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Wrap an error in TikTok's envelope; unknown codes are answered with 400."""
    error = _error(code, _message(code, message))
    return Answer(
        status or STATUS_OF_CODE.get(code, 400),
        code,
        encode({"data": {}, "error": error}),
        headers={LOG_ID_HEADER: error["log_id"], **(headers or {})},
    )


def flat(payload: Mapping[str, object]) -> Answer:
    """Answer as the OAuth endpoints do: without an envelope."""
    headers = {"cache-control": "no-store", LOG_ID_HEADER: log_id()}
    return Answer(200, "ok", encode(payload), headers=headers)


def flat_failure(
    code: str,
    message: str | None = None,
    *,
    status: int,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Answer an OAuth error.

    Shape: https://developers.tiktok.com/doc/oauth-error-handling
    """
    payload = {
        "error": code,
        "error_description": _message(code, message),
        "log_id": log_id(),
    }
    return Answer(
        status,
        code,
        encode(payload),
        headers={LOG_ID_HEADER: payload["log_id"], **(headers or {})},
    )


def log_id() -> str:
    """Make an id in the form of TikTok's: a UTC time and hexadecimal digits."""
    stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime())
    return f"{stamp}{secrets.token_hex(10).upper()}"


def _error(code: str, message: str) -> dict[str, str]:
    return {"code": code, "message": message, "log_id": log_id()}


def _message(code: str, message: str | None) -> str:
    return message if message is not None else MESSAGE_OF_CODE.get(code, code)


def encode(payload: Mapping[str, object]) -> bytes:
    """Write JSON as TikTok does, without blanks."""
    return json.dumps(payload, separators=(",", ":")).encode()
