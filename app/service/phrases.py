"""What each error means to a person: what happened, and what to do. No jargon."""

from typing import Final, NamedTuple

from app.domain.job import ErrorClass, WaitingFor


class Phrase(NamedTuple):
    """Two sentences or so for the person whose post it is."""

    what: str
    todo: str


_RECONNECT: Final = "Reconnect the TikTok account, then retry this post."
_AGAIN: Final = "If it does not pass by itself, retry this post later."
_TOMORROW: Final = "If it has not gone out by tomorrow, retry this post then."
_OPERATOR: Final = "Ask whoever runs the service to look into it, then retry this post."

_NO_CONSENT: Final = Phrase(
    "TikTok was not given permission to post on this account.",
    "Connect the account again and allow posting, then retry this post.",
)
_SETUP: Final = Phrase("The service is not set up with TikTok as it should.", _OPERATOR)
_FAULTY_FILE: Final = Phrase(
    "TikTok cannot use this video file.",
    "Export it as MP4, MOV or WebM within TikTok's limits and schedule it again.",
)
_NO_PULL: Final = Phrase(
    "TikTok could not download the video.",
    "Check that its link works for everybody and stays valid for an hour, then retry"
    " this post.",
)
_POSTS_PER_DAY: Final = Phrase(
    "This TikTok account has reached its number of posts for the day.", _TOMORROW
)
_APP_PER_DAY: Final = Phrase(
    "This service has reached the number of accounts it may post to in a day.",
    _TOMORROW,
)
_STILL_WORKING: Final = Phrase(
    "TikTok has the video and is still working on it.",
    "Retry this post later: the video is not sent a second time.",
)
_HICCUP: Final = Phrase("Something went wrong between this service and TikTok.", _AGAIN)
UNCONFIRMED: Final = Phrase(
    "Nobody can tell whether TikTok took this post.",
    "Look at the account in TikTok's app. If the video is there, all is well. If not,"
    " retry and accept the risk of a second post.",
)
LOST_TRACK: Final = Phrase(
    "TikTok has the video, and does not tell us any more what became of it.",
    "Reconnect the TikTok account, then retry this post: the video is not sent a"
    " second time.",
)

BY_CODE: Final[dict[str, Phrase]] = {
    # The account
    "account_not_connected": Phrase(
        "No TikTok account is connected to this project.",
        "Connect one, then retry this post.",
    ),
    "auth_removed": Phrase(
        "This service's access was removed in TikTok's app.", _RECONNECT
    ),
    "access_denied": _NO_CONSENT,
    "scope_not_authorized": _NO_CONSENT,
    "scope_permission_missed": _NO_CONSENT,
    "token_not_authorized_for_specified_publish_id": Phrase(
        "This post began on another TikTok account than the one connected now.",
        "Connect the account that it was meant for, then retry this post.",
    ),
    "spam_risk_user_banned_from_posting": Phrase(
        "TikTok does not let this account post at the moment.",
        "Open TikTok's app to see why.",
    ),
    "unaudited_client_can_only_post_to_private_accounts": Phrase(
        "Until TikTok has reviewed this service, it can post to private accounts only.",
        "Set the account to private in TikTok's app, then retry this post.",
    ),
    # Limits
    "spam_risk_too_many_posts": _POSTS_PER_DAY,
    "spam_risk_too_many_pending_share": Phrase(
        "There are too many unfinished drafts in the TikTok inbox.",
        "Finish or delete some in TikTok's app, then retry this post.",
    ),
    "reached_active_user_cap": _APP_PER_DAY,
    # The post
    "privacy_level_option_mismatch": Phrase(
        "This TikTok account does not offer the chosen audience.",
        "Choose again who may see the video and schedule it again.",
    ),
    "spam_risk": Phrase(
        "TikTok took this post for spam.",
        "Do not send it again: that could harm the account.",
    ),
    "spam_risk_text": Phrase(
        "TikTok took the caption for spam.",
        "Change the caption and schedule the video again.",
    ),
    "publish_cancelled": Phrase(
        "This post was cancelled at TikTok.", "Schedule it again if it should go live."
    ),
    # The video
    "url_ownership_unverified": Phrase(
        "TikTok does not know the site that the video lies on.", _OPERATOR
    ),
    "video_pull_failed": _NO_PULL,
    "photo_pull_failed": _NO_PULL,
    "invalid_file_upload": _FAULTY_FILE,
    "file_format_check_failed": _FAULTY_FILE,
    "duration_check_failed": Phrase(
        "The video is too long or too short for this TikTok account.",
        "Change its length and schedule it again.",
    ),
    "frame_rate_check_failed": Phrase(
        "TikTok does not take the video's frame rate.",
        "Export it with 23 to 60 frames per second and schedule it again.",
    ),
    "picture_size_check_failed": Phrase(
        "TikTok does not take the video's picture size.",
        "Export it with 360 to 4096 pixels on each side and schedule it again.",
    ),
    # The service
    "turned_away": Phrase("TikTok turned the request away unread.", _OPERATOR),
    "client_not_configured": _SETUP,
    "invalid_client": _SETUP,
    "unauthorized_client": _SETUP,
    "unsupported_grant_type": _SETUP,
    "invalid_request": _SETUP,
    "invalid_scope": _SETUP,
    "app_version_check_failed": Phrase(
        "TikTok's app on the phone is too old for this.",
        "Update it, then retry this post.",
    ),
    # The way there
    "poll_deadline": _STILL_WORKING,
    "outcome_unknown": UNCONFIRMED,
    "init_void": Phrase("TikTok never fetched the video; nothing was posted.", _AGAIN),
    "scheduler_error": Phrase("Something went wrong in this service.", _AGAIN),
    "claim_abandoned": Phrase(
        "The service was interrupted while it worked on this post.", _AGAIN
    ),
}

BY_CLASS: Final[dict[ErrorClass, Phrase]] = {
    ErrorClass.AUTH: Phrase("TikTok does not accept our access any more.", _RECONNECT),
    ErrorClass.PERMANENT: Phrase(
        "TikTok did not accept this post.",
        "Check the video and the settings of the post and schedule it again.",
    ),
    ErrorClass.RATE_LIMIT: Phrase(
        "TikTok asks us to slow down with this account.", _AGAIN
    ),
    ErrorClass.TRANSIENT: _HICCUP,
}

WAITING: Final[dict[WaitingFor, str]] = {
    WaitingFor.QUOTA: "It waits for its turn: TikTok takes only some posts a minute.",
    WaitingFor.ACCOUNT_CAP: _POSTS_PER_DAY.what,
    WaitingFor.APP_CAP: _APP_PER_DAY.what,
    WaitingFor.TIKTOK: _STILL_WORKING.what,
    WaitingFor.CONFIRMATION: "It waits for proof of whether TikTok took this post.",
}
