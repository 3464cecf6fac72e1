"""Send the outbox's events: signed, in order per job, until they arrive."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Final

import structlog
from msgspec import Struct, field
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
from app.metrics import Delivered, Metrics
from app.outbound.webhook_sender import WebhookSender
from app.runner.background.background_jobs import GATHER_SECONDS
from app.store.webhooks.deliveries import DeliveryStore, OutboxDelivery

log = structlog.get_logger(__name__)

AT_ONCE: Final = 64
"""How many events one process sends at a time, besides the sends that have stalled."""

STALLED_AFTER: Final = timedelta(seconds=1)
"""After so long without an answer a send takes nobody else's place any more."""

MOST: Final = 512
"""How many sends one process has running, stalled ones included."""

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


class Deliveries(Struct, frozen=True, kw_only=True):
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
        going = Going(self.clock)
        with acting_for(SHARE):
            try:
                await self._send_all(going)
            finally:
                await going.break_off()

    async def _send_all(self, going: "Going") -> None:
        while True:
            was_idle = not going.sends
            # A send that ended during the claim may have freed its job's next event.
            if not await self._begin(going) and was_idle:
                return
            if going.sends:
                await self._news(going)

    async def _news(self, going: "Going") -> None:
        """Wait until there may be more to send."""
        stalled = STALLED_AFTER.total_seconds()
        look = self.clock.sleep(LOOK_EVERY_SECONDS if going.room() else stalled)
        await first(going.ended.wait(), self.hint.wait(), look)
        if self.hint.is_set() or len(going.sends) > AT_ONCE_EACH:
            await self.clock.sleep(GATHER_SECONDS)  # else there is a claim for each end

    async def _begin(self, going: "Going") -> int:
        """Claim for the free slots, and begin to send."""
        self.hint.clear()
        going.ended.clear()
        if not (room := going.room()):
            return 0
        claimed = await self.store.claim_due(
            now=self.clock.now(), limit=room, each=AT_ONCE_EACH, busy=going.busy()
        )
        for delivery in claimed:
            going.begin(delivery.event.project_id, self._deliver(delivery))
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
        log.warning(
            "webhook not delivered", error=sent.error, gives_up=retry_at is None
        )
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


class Going:
    """The sends that run, and the endpoints whose last send stalled.

    Such an endpoint gets one send at a time until it answers in time again, and all of
    them together leave `AT_ONCE` places to others.
    """

    def __init__(self, clock: Clock) -> None:
        self.sends: dict[asyncio.Task[None], tuple[str, datetime]] = {}
        self.ended = asyncio.Event()
        self._slow = set[str]()
        self._clock = clock

    def begin(self, project_id: str, send: Coroutine[None, None, None]) -> None:
        """Start a send to a project's endpoint."""
        task = asyncio.create_task(send)
        self.sends[task] = project_id, self._clock.now()
        task.add_done_callback(self._end)

    def room(self) -> int:
        """Return how many more sends may begin."""
        fresh = len(self.sends) - len(self._stalled())
        return max(0, min(AT_ONCE - fresh, MOST - len(self.sends)))

    def busy(self) -> Counter[str]:
        """Return how much of its share each endpoint uses, a slow one nearly all."""
        stalled = self._stalled()
        slow = self._slow.union(stalled)
        busy = Counter(project for project, _ in self.sends.values())
        are_too_many = len(stalled) >= MOST - AT_ONCE
        for project in slow:
            is_full = busy[project] or are_too_many
            busy[project] = AT_ONCE_EACH if is_full else AT_ONCE_EACH - 1
        return busy

    async def break_off(self) -> None:
        """End all sends."""
        sends = list(self.sends)
        for task in sends:
            task.cancel()
        await asyncio.gather(*sends, return_exceptions=True)

    def _stalled(self) -> list[str]:
        late = self._clock.now() - STALLED_AFTER
        return [project for project, began in self.sends.values() if began <= late]

    def _end(self, task: asyncio.Task[None]) -> None:
        project, began = self.sends.pop(task)
        if began <= self._clock.now() - STALLED_AFTER:
            self._slow.add(project)
        else:
            self._slow.discard(project)
        self.ended.set()
