"""After a refused token: renew it once and repeat the same call once."""

from collections.abc import Awaitable, Callable
from typing import TypeGuard, TypeVar

from app.domain.codes import TOKEN_REFUSED
from app.domain.jobs.outcome import Fault
from app.grants.grants import Access
from app.tiktok.client import NOT_CONFIGURED

Answer = TypeVar("Answer")
Renew = Callable[[Access], Awaitable[Access | Fault]]


def is_refused(answer: object) -> TypeGuard[Fault]:
    """Tell whether a fault says only that the token was wrong."""
    return isinstance(answer, Fault) and answer.code == TOKEN_REFUSED


async def renewed(refusal: Fault, access: Access, renew: Renew) -> Access | Fault:
    """Return a newer token; the refusal itself if a refresh cannot help."""
    newer = await renew(access)
    if isinstance(newer, Fault) and newer.code == NOT_CONFIGURED.code:
        return refusal  # only the person can consent again
    return newer


async def with_renewal(
    access: Access, call: Callable[[Access], Awaitable[Answer]], renew: Renew
) -> tuple[Answer | Fault, Access]:
    """Make a repeatable call; repeat it once if only the token was refused.

    Return the answer and the access it was made with. Raises what ``call`` and
    ``renew`` raise.
    """
    answer = await call(access)
    if not is_refused(answer):
        return answer, access
    newer = await renewed(answer, access, renew)
    if isinstance(newer, Fault):
        return newer, access
    return await call(newer), newer
