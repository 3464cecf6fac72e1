"""Answers of creator_info, reused for a minute.

https://developers.tiktok.com/doc/content-posting-api-reference-query-creator-info
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct, field

from app.domain.accounts.account import CreatorInfo
from app.domain.accounts.quota import QuotaCall
from app.domain.jobs.outcome import Fault, PutOff
from app.grants.grants import Access
from app.machine.clock import Clock
from app.pacing.pacer import Pacer, QuotaUser
from app.store.accounts.quotas import Owner
from app.tiktok.client import TikTok

REUSE: Final = timedelta(seconds=60)
"""How long an answer may be reused: a creator's choices seldom change sooner."""

_PRUNE_AT: Final = 4096

CreatorAnswer = CreatorInfo | Fault | PutOff


class _Entry(Struct):
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    info: CreatorInfo | None = None
    fresh_until: datetime | None = None
    answers: int = 0
    latest: CreatorAnswer | None = None


class CreatorCache:
    """Asks once per account at a time, and shares the answer.

    Whoever waited takes the answer, even a fault: otherwise each would wait for a
    hanging TikTok, one after another. Only good answers are kept for later.
    """

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str, int], _Entry] = {}
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
        entry = self._entries.get(key)
        if entry is None:
            self._prune(now)
            entry = self._entries[key] = _Entry()
        answers = entry.answers
        async with entry.lock:
            if entry.answers != answers and entry.latest is not None:
                return entry.latest
            if (
                entry.fresh_until is not None
                and now() < entry.fresh_until
                and entry.info
            ):
                return entry.info
            asked_at = now()
            answer = await ask()
            entry.answers, entry.latest = entry.answers + 1, answer
            if isinstance(answer, CreatorInfo):
                entry.info, entry.fresh_until = answer, asked_at + REUSE
            return answer

    def forget(self) -> None:
        """Keep no answer: when each was given cannot be told any more."""
        for entry in self._entries.values():
            entry.fresh_until = None

    def _prune(self, clock: Callable[[], datetime]) -> None:
        if len(self._entries) < self._prune_at:
            return
        now = clock()
        self._entries = {
            key: entry
            for key, entry in self._entries.items()
            if entry.lock.locked() or (entry.fresh_until and entry.fresh_until > now)
        }
        # All of these are in use: looking through them at each call is quadratic.
        self._prune_at = max(_PRUNE_AT, 2 * len(self._entries))


class CreatorOptions(Struct, frozen=True, kw_only=True):
    """Asks what a creator may choose, within the account's quota, for no post."""

    creators: CreatorCache
    pacer: Pacer
    tiktok: TikTok
    clock: Clock

    async def of(self, access: Access) -> CreatorAnswer:
        """Ask, or return the answer of the last minute; raises StoreUnavailable."""

        async def ask() -> CreatorAnswer:
            owner = Owner(access.platform, access.quota_owner)
            user = QuotaUser(access.project_id, owner, alone=True)
            permit = await self.pacer.acquire(user, QuotaCall.CREATOR_INFO)
            if isinstance(permit, PutOff):
                return permit
            async with self.tiktok.connect() as calls:
                return await calls.creator_info(access.token)

        return await self.creators.get(access, ask, now=self.clock.now)
