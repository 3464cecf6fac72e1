"""What an account's current state means for a coming job. Pure."""

from collections.abc import Collection
from typing import Final

from app.domain.accounts.account import SCOPE_REASONS
from app.domain.codes import (
    ACCOUNT_CHANGED,
    RECONNECT_REQUIRED,
    blocks_posting,
    words_of,
)
from app.domain.codes import NOT_CONNECTED as NO_ACCOUNT
from app.domain.jobs.job import ErrorClass
from app.domain.jobs.outcome import Fault
from app.domain.jobs.readiness import ReadinessProblem
from app.domain.posts.post import Post, PostMode

NOT_CONNECTED: Final = ReadinessProblem(
    NO_ACCOUNT, "No TikTok account is connected to this project."
)
CHANGED: Final = ReadinessProblem(
    ACCOUNT_CHANGED,
    "Another TikTok account is connected to this project than the one that this post"
    " was made for.",
)
RECONNECT: Final = ReadinessProblem(
    RECONNECT_REQUIRED,
    "TikTok no longer accepts our access: the account has to be connected again.",
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

_NEEDED_SCOPE: Final = {
    PostMode.DIRECT: "video.publish",
    PostMode.INBOX: "video.upload",
}


def grant_problem(fault: Fault) -> ReadinessProblem:
    """Say why there is no access token."""
    if fault.code == NOT_CONNECTED.code:
        return NOT_CONNECTED
    if fault.code == CHANGED.code:
        return CHANGED
    return RECONNECT if fault.error_class is ErrorClass.AUTH else NOT_REFRESHED


def scope_problem(post: Post, scopes: Collection[str]) -> ReadinessProblem | None:
    """Compare the post with the account's scopes, if they are known."""
    missing = scopes and _NEEDED_SCOPE[post.mode] not in scopes
    return SCOPE_MISSING if missing else None


def privacy_problem(post: Post, offered: Collection[str]) -> ReadinessProblem | None:
    """Compare the privacy level with those that TikTok offers the creator."""
    return None if post.privacy_level in offered else PRIVACY_NOT_OFFERED


def creator_problem(fault: Fault) -> ReadinessProblem | None:
    """Return what an error of creator_info means for the job, None if nothing."""
    if blocks_posting(fault.code):
        words = words_of(fault.code, fault.error_class)
        return ReadinessProblem(fault.code, words.what)
    if fault.code in SCOPE_REASONS:
        return SCOPE_MISSING
    if fault.code in {NOT_CONNECTED.code, CHANGED.code}:
        return grant_problem(fault)
    return RECONNECT if fault.error_class is ErrorClass.AUTH else None
