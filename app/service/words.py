"""What people read about a job: what happened, what to do, and no jargon."""

from datetime import datetime
from typing import Final

from app.domain.job import (
    Delivery,
    ErrorClass,
    FailureReason,
    Job,
    JobStatus,
    LastError,
    WaitingFor,
)

CRON_SECONDS: Final = 60
"""How often a cron trigger comes at best; the notice promises no more."""

_RECONNECT: Final = "Reconnect the TikTok account, then retry this post."
_RECONSENT: Final = (
    "TikTok was not given permission to post. Connect the account again and allow"
    " posting, then retry this post."
)
_OUR_SETUP: Final = (
    "The connection between this service and TikTok is not set up correctly. Ask"
    " whoever runs the service to look into it, then retry this post."
)
_FAULTY_FILE: Final = (
    "TikTok cannot use this video file. Replace it with an MP4, MOV or WebM that meets"
    " TikTok's rules for size, length and frame rate, and schedule it again."
)
_NO_PULL: Final = (
    "TikTok could not download the video. Check that its link works for everybody and"
    " stays valid for an hour."
)
_TOO_MANY_POSTS: Final = (
    "This TikTok account has reached its number of posts for the day. Wait until"
    " tomorrow, or post by hand in TikTok's app."
)
_BANNED: Final = (
    "TikTok does not let this account post at the moment. Open TikTok's app to see why."
)
_HOLD_ON: Final = "Something went wrong between this service and TikTok."

_BY_CODE: Final[dict[str, str]] = {
    "account_not_connected": (
        "No TikTok account is connected to this project. Connect one, then retry this"
        " post."
    ),
    "scope_not_authorized": _RECONSENT,
    "scope_permission_missed": _RECONSENT,
    "token_unreadable": _RECONNECT,
    "spam_risk_too_many_posts": _TOO_MANY_POSTS,
    "spam_risk_too_many_pending_share": (
        "There are too many unfinished drafts in the TikTok inbox. Finish or delete"
        " some in TikTok's app."
    ),
    "reached_active_user_cap": (
        "This service has reached the number of accounts it may post to in a day. Wait"
        " until tomorrow."
    ),
    "spam_risk_user_banned_from_posting": _BANNED,
    "spam_risk": (
        "TikTok took this post for spam. Do not send it again: it could cost the"
        " account more than this post."
    ),
    "spam_risk_text": (
        "TikTok took the caption for spam. Change the caption and schedule the video"
        " again."
    ),
    "unaudited_client_can_only_post_to_private_accounts": (
        "Until TikTok has reviewed this service, it can post to private accounts only."
        " Set the account to private in TikTok's app, then retry this post."
    ),
    "url_ownership_unverified": (
        "TikTok does not know the site this video lies on. Ask whoever runs the service"
        " to verify its address with TikTok, then retry this post."
    ),
    "privacy_level_option_mismatch": (
        "The account does not offer the chosen audience any more. Choose who may see"
        " this video and schedule it again."
    ),
    "invalid_client": _OUR_SETUP,
    "unauthorized_client": _OUR_SETUP,
    "client_not_configured": _OUR_SETUP,
    "invalid_file_upload": _FAULTY_FILE,
    "file_format_check_failed": _FAULTY_FILE,
    "duration_check_failed": (
        "The video is too long or too short for this TikTok account. Shorten it and"
        " schedule it again."
    ),
    "frame_rate_check_failed": (
        "The video's frame rate is outside of what TikTok takes: 23 to 60 frames per"
        " second. Export it again and schedule it anew."
    ),
    "picture_size_check_failed": (
        "The picture is too small or too large for TikTok: each side needs 360 to 4096"
        " pixels. Export the video again and schedule it anew."
    ),
    "video_pull_failed": _NO_PULL,
    "photo_pull_failed": _NO_PULL,
    "publish_cancelled": "This post was cancelled at TikTok.",
    "poll_deadline": "TikTok has the video and is still working on it.",
    "claim_abandoned": "The service was interrupted while it worked on this post.",
}
"""What happened and what to do, by TikTok's word for it or ours."""

_BY_CLASS: Final[dict[ErrorClass, str]] = {
    ErrorClass.AUTH: f"TikTok does not accept our access any more. {_RECONNECT}",
    ErrorClass.PERMANENT: (
        "TikTok did not accept this post. Check the video and the settings of the post"
        " and schedule it again."
    ),
    ErrorClass.RATE_LIMIT: "TikTok asks us to slow down with this account.",
    ErrorClass.TRANSIENT: _HOLD_ON,
}

_UNCONFIRMED: Final = (
    "Nobody can tell whether TikTok took this post. Look at the account in TikTok's"
    " app: if the video is there, all is well. If not, retry and accept the risk of a"
    " second post (acceptDuplicateRisk)."
)

_WAITING: Final[dict[WaitingFor, str]] = {
    WaitingFor.QUOTA: "Waits for its turn: TikTok takes a few posts a minute.",
    WaitingFor.ACCOUNT_CAP: _TOO_MANY_POSTS,
    WaitingFor.APP_CAP: _BY_CODE["reached_active_user_cap"],
    WaitingFor.TIKTOK: "TikTok has the video and is still working on it.",
    WaitingFor.CONFIRMATION: "Waits for proof of whether TikTok took this post.",
}


def user_message(error: LastError) -> str:
    """Say what happened and what to do."""
    return _BY_CODE.get(error.code) or _BY_CLASS[error.error_class]


def notice(job: Job, *, run_by_cron: bool, now: datetime) -> str | None:
    """Say what a person should know about a job right now, None if it is as planned."""
    match job.status:
        case JobStatus.SCHEDULED:
            return _waiting(job, now) or _going_live(job, run_by_cron, now)
        case JobStatus.PROCESSING:
            return _waiting(job, now)
        case JobStatus.RETRYING:
            return _waiting(job, now) or _again(job, now)
        case JobStatus.POSTED:
            return _posted(job)
        case JobStatus.FAILED:
            return _failed(job)


def _waiting(job: Job, now: datetime) -> str | None:
    if job.waiting_for is None:
        return None
    return f"{_WAITING[job.waiting_for]} {_next_look(job, now)}".rstrip()


def _again(job: Job, now: datetime) -> str:
    reason = user_message(job.last_error) if job.last_error else _HOLD_ON
    return f"{reason} {_next_look(job, now)}".rstrip()


def _next_look(job: Job, now: datetime) -> str:
    if job.next_attempt_at is None or job.claim_token is not None:
        return ""
    seconds = (job.next_attempt_at - now).total_seconds()
    return f"Goes on by itself {_in(seconds)}."


def _going_live(job: Job, run_by_cron: bool, now: datetime) -> str | None:
    if job.next_attempt_at is None or job.next_attempt_at > now:
        return None
    if run_by_cron:
        return f"Goes live within about {CRON_SECONDS} seconds."
    return "Goes live in a moment."


def _posted(job: Job) -> str | None:
    if job.delivery is not Delivery.INBOX:
        return None
    return (
        "The draft is in the TikTok inbox. Finish it in TikTok's app: the caption and"
        " who may see it are chosen there."
    )


def _failed(job: Job) -> str | None:
    if job.failure_reason is FailureReason.UNCONFIRMED:
        return _UNCONFIRMED
    reason = user_message(job.last_error) if job.last_error else _HOLD_ON
    if job.failure_reason is not FailureReason.MAX_ATTEMPTS:
        return reason
    return f"{reason} All {job.max_attempts} attempts are used up; retry to start anew."


def _in(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 45:
        return "within a minute"
    if minutes < 60:
        return "in about a minute" if minutes == 1 else f"in about {minutes} minutes"
    hours = round(minutes / 60)
    return "in about an hour" if hours == 1 else f"in about {hours} hours"
