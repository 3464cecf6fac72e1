"""A call with a stale token: renew the token once, make the same call once more."""

from collections.abc import Awaitable, Callable
from typing import TypeGuard, TypeVar

from app.domain.codes import TOKEN_REFUSED
from app.domain.jobs.outcome import Fault
from app.grants.grants import Access
from app.tiktok import NOT_CONFIGURED

Answer = TypeVar("Answer")
Renew = Callable[[Access], Awaitable[Access | Fault]]


def is_refused(answer: object) -> TypeGuard[Fault]:
    """Tell whether only the token was wrong."""
    return isinstance(answer, Fault) and answer.code == TOKEN_REFUSED


async def renewed(refusal: Fault, access: Access, renew: Renew) -> Access | Fault:
    """Return a newer token; where nothing can be refreshed, the refusal itself."""
    newer = await renew(access)
    if isinstance(newer, Fault) and newer.code == NOT_CONFIGURED.code:
        return refusal  # only the person can bring a new token
    return newer


async def with_renewal(
    access: Access, call: Callable[[Access], Awaitable[Answer]], renew: Renew
) -> tuple[Answer | Fault, Access]:
    """Make a call that may be repeated; once more if only the token was stale.

    Return the answer and the access that it was given to. Raises what ``call`` and
    ``renew`` raise.
    """
    answer = await call(access)
    if not is_refused(answer):
        return answer, access
    newer = await renewed(answer, access, renew)
    if isinstance(newer, Fault):
        return newer, access
    return await call(newer), newer
