"""Every error code of a call or a publish: its class, and the words for a person.

One row per code, TikTok's and our own. TikTok may add codes at any time, so every
function here also answers for a code without a row.

https://developers.tiktok.com/doc/content-posting-api-reference-direct-post
https://developers.tiktok.com/doc/content-posting-api-reference-get-video-status
https://developers.tiktok.com/doc/tiktok-api-v2-error-handling
https://developers.tiktok.com/doc/oauth-error-handling
"""

from typing import Final, NamedTuple

from msgspec import Struct

from app.domain.jobs.job import ErrorClass, WaitingFor

TOKEN_REFUSED: Final = "access_token_invalid"  # noqa: S105 - TikTok's code, no secret
NOT_CONNECTED: Final = "account_not_connected"
RECONNECT_REQUIRED: Final = "reconnect_required"
ACCOUNT_CHANGED: Final = "account_changed"
POLL_DEADLINE: Final = "poll_deadline"
MISSED: Final = "missed"
OUT_OF_RESOURCES: Final = "out_of_resources"
CANCELLED: Final = "cancelled"
RESTORED: Final = "restored"
FAILED_OVER: Final = "database_failed_over"
PUBLISH_CANCELLED: Final = "publish_cancelled"


class Words(NamedTuple):
    """About two sentences for the person whose post it is."""

    what: str
    todo: str


class Code(Struct, frozen=True, kw_only=True):
    """What is known about one code.

    ``answer`` is its class as the error code of an answer, ``reason`` its class as the
    fail_reason of a publish; None where it does not occur.
    """

    answer: ErrorClass | None = None
    reason: ErrorClass | None = None
    words: Words | None = None  # None: those of its class
    cap: WaitingFor | None = None  # whose daily cap it means
    blocks_posting: bool = False  # the account may not post at the moment


_AUTH: Final = ErrorClass.AUTH
_PERMANENT: Final = ErrorClass.PERMANENT
_RATE_LIMIT: Final = ErrorClass.RATE_LIMIT
_TRANSIENT: Final = ErrorClass.TRANSIENT

_RECONNECT: Final = "Reconnect the TikTok account, then retry this post."
_AGAIN: Final = "If it does not go out on its own, retry this post later."
_TOMORROW: Final = "If it has not gone out by tomorrow, retry this post then."
ASK_OPERATOR: Final = "Ask whoever runs the service to look into it"
_OPERATOR: Final = f"{ASK_OPERATOR}, then retry this post."
_OTHER_ACCOUNT: Final = "Connect another TikTok account if this post should go out."

_NO_CONSENT: Final = Words(
    "TikTok was not given permission to post on this account.",
    "Connect the account again and allow posting, then retry this post.",
)
SETUP: Final = Words(
    "The service's app at TikTok is not configured correctly.", _OPERATOR
)
_BUSY: Final = Words("TikTok could not answer at that moment.", _AGAIN)
_FAULTY_FILE: Final = Words(
    "TikTok cannot use this video file.",
    "Export it as MP4, MOV or WebM within TikTok's limits and schedule it again.",
)
_NO_PULL: Final = Words(
    "TikTok could not download the video.",
    "Check that its link works for everyone and stays valid for an hour, then retry"
    " this post.",
)
_NO_PHOTO: Final = Words(
    "TikTok could not download a photo.",
    "Check that each link works for everyone and stays valid for an hour, then retry"
    " this post.",
)
STILL_WORKING: Final = Words(
    "TikTok has the video and is still working on it.",
    "Retry this post later: the video is not sent a second time.",
)
UNCONFIRMED: Final = Words(
    "It is not known whether TikTok accepted this post.",
    "Look at the account in TikTok's app. If the video is there, all is well. If not,"
    " retry and accept the risk of a second post.",
)
LOST_TRACK: Final = Words(
    "TikTok has the video but no longer tells us what became of it.",
    "Reconnect the TikTok account, then retry this post: the video is not sent a"
    " second time.",
)

_ACCOUNT: Final[dict[str, Code]] = {
    NOT_CONNECTED: Code(
        words=Words(
            "No TikTok account is connected to this project.",
            "Connect one, then retry this post.",
        )
    ),
    RECONNECT_REQUIRED: Code(),
    ACCOUNT_CHANGED: Code(
        words=Words(
            "This post was made for another TikTok account than the one connected now.",
            "Connect the account that it was made for, or move the post to the present"
            " one, then retry it.",
        )
    ),
    TOKEN_REFUSED: Code(answer=_AUTH),
    "auth_removed": Code(
        reason=_AUTH,
        words=Words("This service's access was removed in TikTok's app.", _RECONNECT),
    ),
    # Why TikTok removed our access, see domain.accounts.account.RemovalReason.
    "removed_by_person": Code(
        words=Words("This service's access was removed in TikTok's app.", _RECONNECT)
    ),
    "account_deleted": Code(
        words=Words("This TikTok account was deleted.", _OTHER_ACCOUNT)
    ),
    "age_changed": Code(
        words=Words(
            "TikTok ended our access, because the age of the account's owner changed.",
            "Open TikTok's app to see what the account may do.",
        )
    ),
    "account_banned": Code(
        words=Words("TikTok has banned this account.", _OTHER_ACCOUNT)
    ),
    "revoked_by_developer": Code(
        words=Words("This service gave up its access to the account.", _RECONNECT)
    ),
    "scope_not_authorized": Code(answer=_AUTH, words=_NO_CONSENT),  # no refresh helps
    "scope_permission_missed": Code(answer=_AUTH, words=_NO_CONSENT),
    "token_not_authorized_for_specified_publish_id": Code(
        answer=_PERMANENT,
        words=Words(
            "This post began on another TikTok account than the one connected now.",
            "Connect the account that it was meant for, then retry this post.",
        ),
    ),
    "spam_risk_user_banned_from_posting": Code(
        answer=_PERMANENT,
        reason=_PERMANENT,
        blocks_posting=True,
        words=Words(
            "TikTok does not allow this account to post at the moment.",
            "Open TikTok's app to see why.",
        ),
    ),
    "unaudited_client_can_only_post_to_private_accounts": Code(
        answer=_PERMANENT,
        words=Words(
            "Until TikTok has reviewed this service, it can post to private accounts"
            " only.",
            "Set the account to private in TikTok's app, then retry this post.",
        ),
    ),
}

_LIMITS: Final[dict[str, Code]] = {
    "rate_limit_exceeded": Code(answer=_RATE_LIMIT),
    "spam_risk_too_many_posts": Code(
        answer=_RATE_LIMIT,
        reason=_RATE_LIMIT,
        cap=WaitingFor.ACCOUNT_CAP,
        blocks_posting=True,
        words=Words(
            "This TikTok account has reached its number of posts for the day.",
            _TOMORROW,
        ),
    ),
    "spam_risk_too_many_pending_share": Code(
        answer=_RATE_LIMIT,
        reason=_RATE_LIMIT,
        cap=WaitingFor.ACCOUNT_CAP,
        blocks_posting=True,
        words=Words(
            "There are too many unfinished drafts in the TikTok inbox.",
            "Finish or delete some in TikTok's app, then retry this post.",
        ),
    ),
    "reached_active_user_cap": Code(
        answer=_RATE_LIMIT,
        reason=_RATE_LIMIT,
        cap=WaitingFor.APP_CAP,
        blocks_posting=True,
        words=Words(
            "This service has reached the number of accounts it may post to in a day.",
            _TOMORROW,
        ),
    ),
    "too_many_requests": Code(),
}

_POST: Final[dict[str, Code]] = {
    "invalid_param": Code(answer=_PERMANENT),
    "invalid_params": Code(answer=_PERMANENT),  # both spellings are in use
    "privacy_level_option_mismatch": Code(
        answer=_PERMANENT,
        words=Words(
            "This TikTok account does not offer the chosen audience.",
            "Choose again who may see the video and schedule it again.",
        ),
    ),
    "spam_risk": Code(
        reason=_PERMANENT,  # TikTok: repeating it puts the account at risk
        words=Words(
            "TikTok treated this post as spam.",
            "Do not send it again: that could harm the account.",
        ),
    ),
    "spam_risk_text": Code(
        reason=_PERMANENT,
        words=Words(
            "TikTok treated the caption as spam.",
            "Change the caption and schedule the video again.",
        ),
    ),
    PUBLISH_CANCELLED: Code(
        reason=_PERMANENT,
        words=Words(
            "This post was cancelled at TikTok.",
            "Schedule it again if it should go live.",
        ),
    ),
    "publish_not_cancellable": Code(answer=_PERMANENT),
    MISSED: Code(
        words=Words(
            "This post could not go out before its deadline.",
            "Set a later deadline and retry it if it should still go out.",
        )
    ),
    RESTORED: Code(
        words=Words(
            "It is not known whether this was posted: the database came from a backup.",
            "Look at the account; retry it only if the post is not there.",
        )
    ),
    FAILED_OVER: Code(
        words=Words(
            "It is not known whether this was posted: the database lost its last"
            " moments.",
            "Look at the account; retry it only if the post is not there.",
        )
    ),
    CANCELLED: Code(
        words=Words("This post was cancelled.", "Retry it if it should still go out.")
    ),
}

_MEDIA: Final[dict[str, Code]] = {
    "url_ownership_unverified": Code(
        answer=_PERMANENT,
        words=Words(
            "TikTok has not verified the website that hosts the video.", _OPERATOR
        ),
    ),
    # TikTok: worth another try if the URL is right.
    "video_pull_failed": Code(reason=_TRANSIENT, words=_NO_PULL),
    "photo_pull_failed": Code(reason=_TRANSIENT, words=_NO_PHOTO),
    "invalid_file_upload": Code(answer=_PERMANENT, words=_FAULTY_FILE),
    "file_format_check_failed": Code(reason=_PERMANENT, words=_FAULTY_FILE),
    "duration_check_failed": Code(
        reason=_PERMANENT,
        words=Words(
            "The video is too long or too short for this TikTok account.",
            "Change its length and schedule it again.",
        ),
    ),
    "frame_rate_check_failed": Code(
        reason=_PERMANENT,
        words=Words(
            "TikTok does not accept the video's frame rate.",
            "Export it with 23 to 60 frames per second and schedule it again.",
        ),
    ),
    "picture_size_check_failed": Code(
        reason=_PERMANENT,
        words=Words(
            "TikTok does not accept the video's picture size.",
            "Export it with 360 to 4096 pixels on each side and schedule it again.",
        ),
    ),
    "app_version_check_failed": Code(
        answer=_PERMANENT,
        words=Words(
            "TikTok's app on the phone is too old for this.",
            "Update it, then retry this post.",
        ),
    ),
}

_NOT_READ: Final = Words(
    "The video could not be read from its link.",
    "Check that the link works for everyone and does not redirect, then retry this"
    " post.",
)
_NOT_SENT: Final = Words("The video could not be sent to TikTok.", _AGAIN)

_TOO_LONG: Final = Words(
    "The video is longer than this TikTok account may post.",
    "Shorten it and schedule it again.",
)

# For videos that this service fetches and uploads itself.
_UPLOAD: Final[dict[str, Code]] = {
    "asset_unreachable": Code(words=_NOT_READ),
    "asset_refused": Code(
        words=Words(
            "The video's link leads to an address that is not public.",
            "Put the video where everyone can download it and schedule it again.",
        )
    ),
    "asset_no_length": Code(
        words=Words(
            "The video's server does not say how large the video is.",
            "Put it on a server that sends Content-Length and schedule it again.",
        )
    ),
    "asset_no_range": Code(
        words=Words(
            "Sending the video was interrupted, and its server cannot resume.",
            "Retry this post, or use a server that answers Range requests.",
        )
    ),
    "asset_changed": Code(
        words=Words(
            "The video behind the link changed while it was being sent.",
            "Retry this post once the video stays as it is.",
        )
    ),
    "asset_too_large": Code(
        words=Words(
            "The video is larger than the 4 GB that TikTok accepts.",
            "Export a smaller one and schedule it again.",
        )
    ),
    "asset_empty": Code(
        words=Words(
            "The file behind the video's link is empty.",
            "Upload the video there again, then retry this post.",
        )
    ),
    "video_too_long": Code(words=_TOO_LONG),
    "upload_failed": Code(words=_NOT_SENT),
    "upload_too_slow": Code(
        words=Words("Sending the video to TikTok took too long.", _AGAIN)
    ),
    "upload_url_over": Code(
        words=Words(
            "The video was not uploaded within the hour that TikTok allows.", _AGAIN
        )
    ),
    "upload_refused": Code(words=_FAULTY_FILE),
    "upload_host_refused": Code(words=SETUP),
}

# Only a dead grant is the account's fault; the others are our set-up, or pass.
_OAUTH: Final[dict[str, Code]] = {
    "invalid_grant": Code(answer=_AUTH),
    "access_denied": Code(answer=_PERMANENT, words=_NO_CONSENT),
    "invalid_client": Code(answer=_PERMANENT, words=SETUP),
    "unauthorized_client": Code(answer=_PERMANENT, words=SETUP),
    "invalid_scope": Code(answer=_PERMANENT, words=SETUP),
    "unsupported_grant_type": Code(answer=_PERMANENT, words=SETUP),
    "invalid_request": Code(answer=_PERMANENT, words=SETUP),
    "client_not_configured": Code(words=SETUP),
    "server_error": Code(answer=_TRANSIENT, words=_BUSY),
    "temporarily_unavailable": Code(answer=_TRANSIENT, words=_BUSY),
}

_WAY_THERE: Final[dict[str, Code]] = {
    "internal_error": Code(answer=_TRANSIENT),
    "internal": Code(answer=_TRANSIENT, reason=_TRANSIENT),  # TikTok: try again
    # TikTok does not know a new publish_id everywhere at once.
    "invalid_publish_id": Code(answer=_TRANSIENT),
    "turned_away": Code(
        words=Words("TikTok rejected the request without reading it.", _OPERATOR)
    ),
    POLL_DEADLINE: Code(words=STILL_WORKING),
    "outcome_unknown": Code(words=UNCONFIRMED),
    "init_void": Code(
        words=Words("TikTok never fetched the video; nothing was posted.", _AGAIN)
    ),
    "scheduler_error": Code(
        words=Words("Something went wrong in this service.", _AGAIN)
    ),
    OUT_OF_RESOURCES: Code(
        words=Words("This service was too busy to reach TikTok.", _AGAIN)
    ),
    "claim_abandoned": Code(
        words=Words("The service was interrupted while it worked on this post.", _AGAIN)
    ),
    "bad_answer": Code(),
    "connect_failed": Code(),
    "connect_timeout": Code(),
    "connection_lost": Code(),
    "gateway_error": Code(),
    "no_fail_reason": Code(),
    "refresh_busy": Code(),
    "request_unsendable": Code(),
    "timeout": Code(),
}

CODES: Final[dict[str, Code]] = {
    **_ACCOUNT,
    **_LIMITS,
    **_POST,
    **_MEDIA,
    **_UPLOAD,
    **_OAUTH,
    **_WAY_THERE,
}

CLASS_WORDS: Final[dict[ErrorClass, Words]] = {
    ErrorClass.AUTH: Words(
        "TikTok no longer accepts our access to this account.", _RECONNECT
    ),
    ErrorClass.PERMANENT: Words(
        "TikTok did not accept this post.",
        "Check the video and the settings of the post and schedule it again.",
    ),
    ErrorClass.RATE_LIMIT: Words(
        "TikTok asks us to slow down with this account.", _AGAIN
    ),
    ErrorClass.TRANSIENT: Words(
        "Something went wrong between this service and TikTok.", _AGAIN
    ),
}

_UNKNOWN: Final = Code()


def class_of_code(code: str, *, http_status: int) -> ErrorClass:
    """Return the class of an answer's error code."""
    if (known := _known(code).answer) is not None:
        return known
    if code.startswith("scope_"):
        return _AUTH
    if code.startswith("spam_risk_too_many_") or http_status == 429:
        return _RATE_LIMIT
    return _TRANSIENT if http_status >= 500 else _PERMANENT


def class_of_oauth_code(code: str, *, http_status: int) -> ErrorClass:
    """Return the class of an OAuth error code.

    An unknown one says nothing about the account or any post.
    """
    known = _known(code).answer is not None or code.startswith("scope_")
    if known or http_status == 429:
        return class_of_code(code, http_status=http_status)
    return _TRANSIENT


def class_of_fail_reason(reason: str) -> ErrorClass:
    """Return the class of a failed publish."""
    if (known := _known(reason).reason) is not None:
        return known
    if reason.startswith("spam_risk_too_many_"):
        return _RATE_LIMIT
    # Of the others, only failed pulls are documented as worth a second try.
    return _TRANSIENT if reason.endswith("_pull_failed") else _PERMANENT


def is_about_the_post(reason: str) -> bool:
    """Tell whether a fail_reason is known, so that a repetition would not mend it."""
    known = _known(reason)
    told = known.reason is not None or known.answer is _PERMANENT
    return told or reason.startswith("spam_risk")


def cap_of(code: str) -> WaitingFor | None:
    """Return whose daily cap a code means, None if none."""
    return _known(code).cap


def blocks_posting(code: str) -> bool:
    """Tell whether a code says that the account may not post at the moment."""
    return _known(code).blocks_posting


def words_of(code: str, error_class: ErrorClass) -> Words:
    """Return what a person reads about an error."""
    return _known(code).words or CLASS_WORDS[error_class]


def _known(code: str) -> Code:
    return CODES.get(code, _UNKNOWN)
