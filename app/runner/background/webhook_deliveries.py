"""Send the outbox's events: signed, in order per job, until they arrive."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog
from structlog.contextvars import bound_contextvars

from app.domain.errors import StoreUnavailable
from app.domain.webhook_endpoint import (
    DISABLED_AFTER,
    GONE,
    DeliveryResult,
    DisabledReason,
    EndpointStatus,
    WebhookEndpoint,
    next_try,
)
from app.machine.callers import acting_for
from app.machine.clock import Clock
from app.machine.concurrency import first
from app.machine.shortage import AGAIN_AFTER
from app.metrics import Metrics
from app.metrics.webhooks import Delivered
from app.outbound.webhook_sender import WebhookSender
from app.runner.background.background_jobs import GATHER_SECONDS
from app.store.webhooks.deliveries import DeliveryStore, OutboxDelivery

log = structlog.get_logger(__name__)

AT_ONCE: Final = 64
"""How many events one process sends at a time."""

AT_ONCE_EACH: Final = 8
"""How many of these may go to one endpoint."""

LOOK_EVERY_SECONDS: Final = 2.0
"""The longest that an event waits without a hint."""

LEASE_EXTRA: Final = timedelta(seconds=15)
"""How much longer a lease is than a send's time-out."""

SHARE: Final = "webhooks"
"""Whose share of the database's connections all deliveries together have."""

UNWRITTEN: Final = "the scheduler made a mistake; its log says which"
NO_ENDPOINT: Final = "there is no endpoint to send it to"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deliveries:
    """Sends due events; neither jobs nor other endpoints wait for a slow endpoint."""

    store: DeliveryStore
    sender: WebhookSender
    clock: Clock
    metrics: Metrics
    retry_after: tuple[float, ...]  # seconds, one for each further try
    hint: asyncio.Event = field(default_factory=asyncio.Event)

    async def run_due(self) -> None:
        """Send until nothing is due or running; raises StoreUnavailable.

        A send that is broken off is repeated after its lease.
        """
        going: dict[asyncio.Task[None], str] = {}
        with acting_for(SHARE):
            try:
                await self._send_all(going)
            finally:
                for task in going:
                    task.cancel()
                await asyncio.gather(*going, return_exceptions=True)

    async def _send_all(self, going: dict[asyncio.Task[None], str]) -> None:
        while True:
            was_idle = not going
            # A send that ended during the claim may have freed its job's next event.
            if not await self._begin(going) and was_idle:
                return
            if going:
                await self._news(going)

    async def _news(self, going: dict[asyncio.Task[None], str]) -> None:
        """Wait until there may be more to send."""
        one_ended = asyncio.wait(going, return_when=asyncio.FIRST_COMPLETED)
        if len(going) >= AT_ONCE:
            await one_ended
            return
        await first(one_ended, self.hint.wait(), self.clock.sleep(LOOK_EVERY_SECONDS))
        if self.hint.is_set():
            await self.clock.sleep(GATHER_SECONDS)

    async def _begin(self, going: dict[asyncio.Task[None], str]) -> int:
        """Claim for the free slots, and begin to send."""
        self.hint.clear()
        claimed = await self.store.claim_due(
            now=self.clock.now(),
            limit=AT_ONCE - len(going),
            each=AT_ONCE_EACH,
            busy=Counter(going.values()),
        )
        for delivery in claimed:
            task = asyncio.create_task(self._deliver(delivery))
            going[task] = delivery.event.project_id
            task.add_done_callback(going.pop)
        return len(claimed)

    async def _deliver(self, delivery: OutboxDelivery) -> None:
        """Send one event and write the result."""
        event = delivery.event
        with bound_contextvars(event_id=event.id, project_id=event.project_id):
            try:
                await self._try(delivery)
            except StoreUnavailable:
                log.warning("a delivery could not be recorded; it will be repeated")
            except Exception:  # its lease runs out; the others must not wait for it
                log.exception("a delivery failed unexpectedly")

    async def _try(self, delivery: OutboxDelivery) -> None:
        event, endpoint = delivery.event, delivery.endpoint
        if endpoint is None or endpoint.status is not EndpointStatus.ACTIVE:
            gone = DeliveryResult(at=self.clock.now(), status=None, error=NO_ENDPOINT)
            await self.store.failed(delivery, gone, retry_at=None)
            return
        sent = await self._send(delivery, endpoint)
        if sent.lacks_resources:
            await self.store.put_off(delivery, until=sent.at + AGAIN_AFTER)
        elif sent.error is None:
            await self.store.delivered(delivery, sent)
            self.metrics.webhooks.sent(Delivered.DELIVERED)
            log.info("webhook delivered", type=str(event.type), status=sent.status)
        else:
            await self._failed(delivery, endpoint, sent)

    async def _send(
        self, delivery: OutboxDelivery, endpoint: WebhookEndpoint
    ) -> DeliveryResult:
        now = self.clock.now()
        if delivery.body is None:  # it must not come back for ever, nor block its job
            return DeliveryResult(at=now, status=None, error=UNWRITTEN)
        return await self.sender.send(
            endpoint, event_id=delivery.event.id, body=delivery.body, now=now
        )

    async def _failed(
        self, delivery: OutboxDelivery, endpoint: WebhookEndpoint, sent: DeliveryResult
    ) -> None:
        now = self.clock.now()
        retry_at = next_try(
            delivery.event.attempts + 1,
            now=now,
            steps=self.retry_after,
            retry_after=sent.retry_after,
        )
        await self.store.failed(delivery, sent, retry_at=retry_at)
        self.metrics.webhooks.sent(
            Delivered.FAILED if retry_at is None else Delivered.RETRYING
        )
        log.warning("webhook failed", error=sent.error, gives_up=retry_at is None)
        reason = await self._reason_to_disable(endpoint, sent, now)
        if reason is not None and await self.store.disable(endpoint, reason, now=now):
            self.metrics.webhooks.disabled(reason)
            log.warning("webhook endpoint disabled", reason=str(reason))

    async def _reason_to_disable(
        self, endpoint: WebhookEndpoint, sent: DeliveryResult, now: datetime
    ) -> DisabledReason | None:
        if sent.status == GONE:
            return DisabledReason.GONE
        since = endpoint.failing_since
        if since is None or now - since < DISABLED_AFTER:
            return None
        delivers = await self.store.has_delivered(endpoint, since=since)
        return None if delivers else DisabledReason.FAILING
