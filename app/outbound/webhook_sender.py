"""Send a signed event to a frontend's endpoint.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from typing import Final

from app.domain.http_headers import parse_retry_after
from app.domain.webhook_endpoint import DeliveryResult, WebhookEndpoint, signatures
from app.machine.shortage import is_shortage
from app.outbound.client import Outbound
from app.outbound.dialer import on_behalf_of
from app.outbound.errors import OutboundError, Refused, TooSlow

BUSY: Final = frozenset({429, 503})
"""Statuses whose Retry-After is respected."""

REFUSED: Final = "the address is not one that is called"
TOO_SLOW: Final = "the receiver took too long"
UNREACHABLE: Final = "the receiver could not be reached"
LACKING: Final = "this machine is short of descriptors, threads or memory"
UNSIGNED: Final = "no encryption key decrypts the secret; set the endpoint again"


class WebhookSender:
    """Sends one event once. Only the status counts; the answer's body is not read."""

    def __init__(self, outbound: Outbound, *, seconds: float) -> None:
        """Take the time-out, from connecting to the status."""
        self._outbound = outbound
        self._seconds = seconds

    async def send(
        self, endpoint: WebhookEndpoint, *, event_id: str, body: bytes, now: datetime
    ) -> DeliveryResult:
        """Send an event; any 2xx means delivered."""
        if not endpoint.secrets:
            return DeliveryResult(at=now, status=None, error=UNSIGNED)
        headers = _headers(endpoint, event_id=event_id, body=body, now=now)
        try:
            with on_behalf_of(endpoint.project_id):
                status, wish = await self._post(endpoint.url, headers, body)
        except (OutboundError, OSError, RuntimeError, MemoryError) as error:
            if is_shortage(error):
                return DeliveryResult(
                    at=now, status=None, error=LACKING, lacks_resources=True
                )
            if not isinstance(error, OutboundError):
                raise
            return DeliveryResult(at=now, status=None, error=_reason(error))
        taken = 200 <= status < 300
        return DeliveryResult(
            at=now,
            status=status,
            error=None if taken else f"it answered {status}",
            retry_after=parse_retry_after(wish, now=now) if status in BUSY else None,
        )

    async def _post(
        self, url: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, str | None]:
        opened = await self._outbound.open(
            "POST", url, headers=headers, body=body, seconds=self._seconds
        )
        with closing(opened) as answer:
            return answer.status, answer.headers.get("retry-after")


def _headers(
    endpoint: WebhookEndpoint, *, event_id: str, body: bytes, now: datetime
) -> Mapping[str, str]:
    # The time of this try, not of the event: receivers refuse old timestamps.
    timestamp = int(now.timestamp())
    signed = signatures(
        body, event_id=event_id, timestamp=timestamp, secrets=endpoint.secrets
    )
    return {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signed,
    }


def _reason(error: OutboundError) -> str:
    match error:
        case Refused():
            return REFUSED
        case TooSlow():
            return TOO_SLOW
        case _:
            return UNREACHABLE
