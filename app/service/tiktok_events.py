"""Receive TikTok's events: verify, store, and use them as hints."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

import structlog
from msgspec import field

from app.domain.guarded import Guarded, Hidden
from app.domain.tiktok_event import EventKind, TikTokEvent
from app.machine.clock import Clock
from app.metrics import Metrics, Prevented
from app.store.jobs.tiktok_events import HintResult, TikTokEventStore
from app.tiktok.signed_events import read_event, signed_at

log = structlog.get_logger(__name__)

FRESH: Final = timedelta(minutes=5)
"""The age of a signature from which it is logged.

TikTok does not say whether it signs a retry again, so an old one is not refused.
"""


class Receipt(StrEnum):
    """The result of a delivery."""

    STORED = "stored"
    BAD_SIGNATURE = "bad_signature"
    NOT_CONFIGURED = "webhooks_not_configured"


class TikTokEventService(Guarded, frozen=True, kw_only=True):
    """Receives TikTok's events; calls ``on_hint`` if one causes a check."""

    store: TikTokEventStore
    clock: Clock
    client_key: str | None
    client_secret: Hidden[str | None]
    on_hint: Callable[[], None]
    metrics: Metrics = field(default_factory=Metrics)

    async def receive(self, signature: str, body: bytes) -> Receipt:
        """Store an event that TikTok signed, once; it is only a hint.

        Raises StoreUnavailable; TikTok then has to deliver it again.
        """
        receipt, kind = await self._receive(signature, body)
        self.metrics.tiktok.webhook(kind, receipt)
        return receipt

    async def _receive(
        self, signature: str, body: bytes
    ) -> tuple[Receipt, EventKind | None]:
        if self.client_secret is None:
            return Receipt.NOT_CONFIGURED, None
        signed = signed_at(signature, body, secret=self.client_secret)
        if signed is None:
            return Receipt.BAD_SIGNATURE, None
        event = read_event(body)
        if not self._is_ours(event):
            return Receipt.BAD_SIGNATURE, None
        await self._keep(event, datetime.fromtimestamp(signed, UTC))
        return Receipt.STORED, event.kind

    def _is_ours(self, event: TikTokEvent) -> bool:
        """Tell whether the event is for this app, as its signature says already."""
        named = event.client_key is not None and self.client_key is not None
        return not named or event.client_key == self.client_key

    async def _keep(self, event: TikTokEvent, signed: datetime) -> None:
        now = self.clock.now()
        # Never in the future, whatever TikTok's clock says.
        created_at = min(event.created_at or signed, now)
        heard = await self.store.add(event, created_at=created_at, now=now)
        if heard.repeated:
            self.metrics.duplicates.prevent(Prevented.REPEATED_WEBHOOK)
        _report(event, heard, stale=now - signed > FRESH)
        if heard.jobs or heard.accounts:
            self.on_hint()


def _report(event: TikTokEvent, heard: HintResult, *, stale: bool) -> None:
    about = log.bind(
        tiktok_event=event.name,
        publish_id=event.publish_id,
        repeated=heard.repeated,
        jobs=heard.jobs,
        accounts=heard.accounts,
    )
    if stale:
        about.warning("a stale event from TikTok")
    else:
        about.info("an event from TikTok")
