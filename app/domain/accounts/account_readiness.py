"""What an account's current state means for a coming job. Pure."""

from collections.abc import Collection
from datetime import datetime
from typing import Final

from app.domain.accounts.account import SCOPE_REASONS, CreatorInfo, RemovalReason
from app.domain.codes import (
    ACCOUNT_CHANGED,
    NOT_CONNECTED,
    RECONNECT_REQUIRED,
    blocks_posting,
    words_of,
)
from app.domain.jobs.job import ErrorClass
from app.domain.jobs.outcome import Fault
from app.domain.jobs.readiness import ReadinessProblem
from app.domain.posts.post import MediaType, Post, PostMode

NO_ACCOUNT: Final = ReadinessProblem(
    NOT_CONNECTED, "No TikTok account is connected to this project."
)
OTHER_ACCOUNT: Final = ReadinessProblem(
    ACCOUNT_CHANGED,
    "Another TikTok account is connected to this project than the one that this post"
    " was made for.",
)
RECONNECT: Final = ReadinessProblem(
    RECONNECT_REQUIRED,
    "TikTok no longer accepts our access: the account has to be connected again.",
)
GRANT_ENDS: Final = ReadinessProblem(
    "grant_ends",
    "Our access to the TikTok account ends before this post's time, unless TikTok"
    " extends it: connect the account again before then.",
)
NOT_REFRESHED: Final = ReadinessProblem(
    "tokens_not_refreshed",
    "The access to the TikTok account could not be refreshed at the last check.",
)
SCOPE_MISSING: Final = ReadinessProblem(
    "scope_missing",
    "The TikTok account did not allow posts of this kind: it has to be connected again"
    " with that permission.",
)
PRIVACY_NOT_OFFERED: Final = ReadinessProblem(
    "privacy_level_not_offered",
    "This TikTok account does not offer the chosen audience.",
)

OFF: Final = {
    "comments_off": "The creator's TikTok settings have comments off: TikTok decides.",
    "duets_off": "The creator's TikTok settings have duets off: TikTok decides.",
    "stitches_off": "The creator's TikTok settings have stitches off: TikTok decides.",
}
"""What is said of a post that leaves on what its creator has off."""

_NOT_TO_RECONNECT: Final = frozenset(
    {RemovalReason.DELETED, RemovalReason.BANNED, RemovalReason.AGE}
)
_NEEDED_SCOPE: Final = {
    PostMode.DIRECT: "video.publish",
    PostMode.INBOX: "video.upload",
}


def grant_problem(fault: Fault) -> ReadinessProblem:
    """Say why there is no access token."""
    if fault.code == NO_ACCOUNT.code:
        return NO_ACCOUNT
    if fault.code == OTHER_ACCOUNT.code:
        return OTHER_ACCOUNT
    return lost_problem(fault.code) if _is_lost(fault) else NOT_REFRESHED


def lost_problem(reason: str | None) -> ReadinessProblem:
    """Return the problem of a lost grant, which depends on TikTok's reason."""
    if reason not in _NOT_TO_RECONNECT:
        return RECONNECT
    words = words_of(reason, ErrorClass.AUTH)
    return ReadinessProblem(RECONNECT_REQUIRED, words.what)


def grant_end_problem(
    ends_at: datetime, scheduled_for: datetime
) -> ReadinessProblem | None:
    """Compare a grant's last moment with a post's time."""
    return GRANT_ENDS if ends_at <= scheduled_for else None


def scope_problem(post: Post, scopes: Collection[str]) -> ReadinessProblem | None:
    """Compare the post with the account's scopes, if they are known."""
    missing = scopes and _NEEDED_SCOPE[post.mode] not in scopes
    return SCOPE_MISSING if missing else None


def privacy_problem(post: Post, offered: Collection[str]) -> ReadinessProblem | None:
    """Compare the privacy level with those that TikTok offers the creator."""
    return None if post.privacy_level in offered else PRIVACY_NOT_OFFERED


def switched_off(post: Post, creator: CreatorInfo) -> tuple[str, ...]:
    """List what the person left on and the creator has off, by keys of OFF.

    https://developers.tiktok.com/doc/content-posting-api-reference-query-creator-info
    """
    video = post.media_type is MediaType.VIDEO
    asked = {
        "comments_off": creator.comment_disabled and not post.disable_comment,
        "duets_off": video and creator.duet_disabled and not post.disable_duet,
        "stitches_off": video and creator.stitch_disabled and not post.disable_stitch,
    }
    return tuple(code for code, is_off in asked.items() if is_off)


def creator_problem(fault: Fault) -> ReadinessProblem | None:
    """Return what an error of creator_info means for the job, None if nothing."""
    if blocks_posting(fault.code):
        words = words_of(fault.code, fault.error_class)
        return ReadinessProblem(fault.code, words.what)
    if fault.code in SCOPE_REASONS:
        return SCOPE_MISSING
    if fault.code in {NO_ACCOUNT.code, OTHER_ACCOUNT.code}:
        return grant_problem(fault)
    return lost_problem(fault.code) if _is_lost(fault) else None


def _is_lost(fault: Fault) -> bool:
    return fault.error_class is ErrorClass.AUTH
