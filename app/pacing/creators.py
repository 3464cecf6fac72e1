"""Answers of creator_info, reused for a minute."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from app.domain.accounts.quota import QuotaCall
from app.domain.jobs.outcome import Fault, PutOff
from app.grants.grants import Access
from app.pacing.pacer import Asker, Pacer
from app.tiktok import CreatorInfo, TikTok

REUSE: Final = timedelta(seconds=60)
"""How long an answer may be reused: a creator's choices seldom change sooner."""

_PRUNE_AT: Final = 4096

CreatorAnswer = CreatorInfo | Fault | PutOff


@dataclass(slots=True)
class _Slot:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    info: CreatorInfo | None = None
    fresh_until: datetime | None = None
    answers: int = 0
    latest: CreatorAnswer | None = None


class CreatorCache:
    """One question per account at a time, for all who want to know.

    Whoever waited for its answer takes it, even a fault, or many would each wait for a
    TikTok that hangs, one after another. Only good answers are kept for later.
    """

    def __init__(self) -> None:
        self._slots: dict[tuple[str, str, int], _Slot] = {}
        self._prune_at = _PRUNE_AT

    async def get(
        self,
        access: Access,
        ask: Callable[[], Awaitable[CreatorAnswer]],
        *,
        now: Callable[[], datetime],
    ) -> CreatorAnswer:
        """Return the kept answer, or ask."""
        # A new grant may belong to another creator: its version is part of the key.
        key = (access.platform, access.project_id, access.version)
        slot = self._slots.get(key)
        if slot is None:
            self._prune(now)
            slot = self._slots[key] = _Slot()
        answers = slot.answers
        async with slot.lock:
            if slot.answers != answers and slot.latest is not None:
                return slot.latest
            if slot.fresh_until is not None and now() < slot.fresh_until and slot.info:
                return slot.info
            asked_at = now()
            answer = await ask()
            slot.answers, slot.latest = slot.answers + 1, answer
            if isinstance(answer, CreatorInfo):
                slot.info, slot.fresh_until = answer, asked_at + REUSE
            return answer

    def _prune(self, clock: Callable[[], datetime]) -> None:
        if len(self._slots) < self._prune_at:
            return
        now = clock()
        self._slots = {
            key: slot
            for key, slot in self._slots.items()
            if slot.lock.locked() or (slot.fresh_until and slot.fresh_until > now)
        }
        # So many are in use: to look them over for each question would be quadratic.
        self._prune_at = max(_PRUNE_AT, 2 * len(self._slots))


async def ask_for_no_post(
    access: Access,
    *,
    creators: CreatorCache,
    pacer: Pacer,
    tiktok: TikTok,
    now: Callable[[], datetime],
) -> CreatorAnswer:
    """Ask what the creator may choose, in the account's turn, beside any attempt.

    Raises StoreUnavailable.
    """

    async def ask() -> CreatorAnswer:
        asker = Asker(
            access.project_id, access.platform, access.quota_owner, alone=True
        )
        wait = await pacer.turn(asker, QuotaCall.CREATOR_INFO)
        if wait is not None:
            return wait
        async with tiktok.connect() as calls:
            return await calls.creator_info(access.token)

    return await creators.get(access, ask, now=now)
