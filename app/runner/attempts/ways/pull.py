"""Pull: TikTok fetches the media, so after the init there may be a post.

The init is written before it is sent, sent once, and its answer is written first.
https://developers.tiktok.com/doc/content-posting-api-media-transfer-guide
"""

from datetime import datetime, timedelta
from typing import Final

from app.domain import codes
from app.domain.jobs.outcome import (
    Fault,
    HandedOn,
    Missed,
    Outcome,
    PutOff,
    Transient,
    Unconfirmed,
    Verdict,
)
from app.domain.posts.post import MediaType
from app.grants.renewal import is_refused
from app.runner.attempts.attempt_state import AttemptState
from app.runner.attempts.effects import PullEffects
from app.runner.attempts.ways.way import Step, Void
from app.tiktok.values import InitTaken, PublishStatus

LONGEST_PULL: Final = timedelta(hours=1)
"""TikTok gives up a pull after that time."""


class Pull:
    """One attempt's pull, directly from the assets' URLs."""

    def __init__(self, state: AttemptState, effects: PullEffects) -> None:
        self._state = state
        self._effects = effects
        self._most_downloaded: int | None = None
        self._grew_at: datetime | None = None

    def is_under_way(self) -> bool:
        """Return False: once a pull has begun, the rest is up to TikTok."""
        return False

    async def measure(self) -> float | None:
        """Measure the video at its URL; photos have no length."""
        job = self._state.job
        if job.post.media_type is MediaType.PHOTO:
            return None
        return await self._state.effects.video_seconds(job)

    async def begin(self, void: Void | None = None) -> Step:
        """Send the init; if it is void, the next attempt repeats it."""
        if void is not None:
            return Transient(fault=void.fault)
        answer = await self._send_init()
        if is_refused(answer):
            # Certainly not taken: write that before a refresh, which may take long.
            await self._clear()
            ended = await self._state.renew(answer)
            answer = ended or await self._send_init()
        return await self._begun(answer)

    async def _begun(self, answer: InitTaken | Fault | Outcome) -> Step:
        state = self._state
        match answer:
            case InitTaken(publish_id=publish_id):
                written = await self._effects.save_publish_id(state.job, publish_id)
                state.own(written)
                return None
            case Fault(verdict=Verdict.UNKNOWN):
                return await self.give_up(answer)
            case Fault(code=codes.OUT_OF_RESOURCES):
                # It is put off: a stamp would mean that it may have been sent.
                await self._clear()
                return await state.ended_by(answer)
            case Fault():
                return await state.ended_by(answer)
            case _:
                return answer

    async def _send_init(self) -> InitTaken | Fault | Outcome:
        state = self._state
        ended = await state.permit_to_begin()
        if ended is not None:
            return ended
        state.own(await self._effects.stamp_init(state.job))
        ended = await self._too_late()
        if ended is not None:
            await self._clear()
            return ended
        return await self._effects.init(state.access, state.job)

    async def _too_late(self) -> PutOff | HandedOn | Missed | None:
        """Return why the init is too late: its stamp may have taken long to write."""
        if self._state.effects.in_time():
            return self._state.too_late()
        # Only once: if every permit is too old, one call too many beats no post.
        return await self._state.permit_to_begin()

    async def _clear(self) -> None:
        state = self._state
        state.own(await state.effects.clear_init(state.job))

    async def follow(self, status: PublishStatus) -> Step:
        """Note how much TikTok has; the first answer is only a base."""
        count = status.downloaded_bytes
        if count is not None:
            most = self._most_downloaded
            if most is not None and count > most:
                self._grew_at = self._state.effects.now()
            self._most_downloaded = max(count, most or 0)
        return None

    def goes_on(self, *, within: timedelta) -> bool:
        """Tell whether TikTok is still making progress, within its own time limit.

        It pulls at 100 Mbit/s at most: 4 GB take longer than any poll deadline.
        """
        sent_at = self._state.job.init_sent_at
        if sent_at is None or self._grew_at is None:
            return False
        now = self._state.effects.now()
        return now - sent_at < LONGEST_PULL and now - self._grew_at <= within

    async def give_up(self, fault: Fault) -> Void | Unconfirmed:
        """Return Unconfirmed: TikTok may have the URL and fetch from it."""
        return Unconfirmed(fault=fault)

    async def close(self) -> None:
        """Do nothing: nothing is open."""
