"""A sender over real sockets, on a clock that a test sets."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

from app.metrics import Metrics
from app.outbound.client import Outbound
from app.outbound.webhook_sender import WebhookSender
from app.runner.background.webhook_deliveries import Deliveries
from app.schemas.events import body_of
from app.store.db.engine import Database
from app.store.db.vault import Vault
from app.store.webhooks.deliveries import DeliveryStore
from tests.support.accounts import VAULT

STEPS: Final = (5.0, 300.0)
LEASE: Final = timedelta(seconds=30)


class Hands:
    """A clock that a test moves; nobody ever waits for it."""

    def __init__(self) -> None:
        # The reference library compares with the machine's own clock.
        self._now = datetime.now(UTC)

    def now(self) -> datetime:
        """Return where the hands stand."""
        return self._now

    def forward(self, **by: float) -> None:
        """Move the hands."""
        self._now += timedelta(**by)

    async def sleep(self, seconds: float) -> None:
        """Pass over what is short; what is long never ends."""
        if seconds >= 1:
            await asyncio.Event().wait()
        await asyncio.sleep(0)


def sender(
    database: Database,
    clock: Hands,
    *,
    allow_private: bool = True,
    vault: Vault = VAULT,
    seconds: float = 20,
) -> Deliveries:
    """Make one process's sender."""
    return Deliveries(
        store=DeliveryStore(database, vault, lease=LEASE, render=body_of),
        sender=WebhookSender(Outbound(allow_private=allow_private), seconds=seconds),
        clock=clock,
        metrics=Metrics(),
        retry_after=STEPS,
    )
