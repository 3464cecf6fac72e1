"""TikTok's webhooks: signed, delivered at least once, in no promised order."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from app.sandbox.faults import WebhookFault
from app.sandbox.posts import Mode, Post
from app.sandbox.pull import new_client
from app.sandbox.state import Delivery, Sandbox

STALE_SECONDS = 3600
"""How old the timestamp of a stale delivery is; 300 s is the usual tolerance."""

TIMEOUT_SECONDS = 10
FORGERS_SECRET = "somebody_elses_secret"


@dataclass(frozen=True, slots=True)
class Event:
    """Hold what is to be told, to whom it happened, and what spoils the telling."""

    name: str
    open_id: str
    content: Mapping[str, object]
    fault: WebhookFault | None = None
    forged: bool = False
    """Sign it with a secret that is not the app's."""


def notify(sandbox: Sandbox, name: str, post: Post, **more: str) -> None:
    """Tell the app about a post.

    https://developers.tiktok.com/doc/webhooks-events
    """
    kind = "DIRECT_PUBLISH" if post.mode is Mode.DIRECT else "INBOX_SHARE"
    content = {"publish_id": post.publish_id, "publish_type": kind, **more}
    emit(sandbox, Event(name, post.open_id, content, post.webhooks))


def emit(sandbox: Sandbox, event: Event) -> None:
    """Send an event to the callback URL in the background, if there is one."""
    fault = event.fault
    if fault is None or not fault.shapes(event.name):
        fault = NO_FAULT
    if sandbox.settings.webhook_url is None or fault.drop:
        return
    for _ in range(2 if fault.duplicate else 1):
        sandbox.spawn(_deliver(sandbox, event, fault))


NO_FAULT = WebhookFault(kind="webhook")


def sign(body: bytes, *, secret: str, timestamp: int) -> str:
    """Write the TikTok-Signature header.

    https://developers.tiktok.com/doc/webhooks-verification
    """
    message = f"{timestamp}.".encode() + body
    digest = hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()
    return f"t={timestamp},s={digest}"


async def _deliver(sandbox: Sandbox, event: Event, fault: WebhookFault) -> None:
    settings = sandbox.settings
    secret = FORGERS_SECRET if event.forged else settings.client_secret
    body = _body(event, settings.client_key, created=int(sandbox.now()))
    await asyncio.sleep(fault.delay_seconds)
    for attempt in range(1, settings.webhook_attempts + 1):
        at = sandbox.now()
        age = STALE_SECONDS if fault.stale else 0
        signature = sign(body, secret=secret, timestamp=int(at) - age)
        status = await _post(settings.webhook_url or "", body, signature)
        sandbox.deliveries.append(_delivery(event, at, attempt, status))
        if status == httpx.codes.OK:
            return
        await asyncio.sleep(settings.webhook_retry_seconds * 2 ** (attempt - 1))


async def _post(url: str, body: bytes, signature: str) -> int | None:
    headers = {"content-type": "application/json", "tiktok-signature": signature}
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS), new_client() as client:
            return (await client.post(url, content=body, headers=headers)).status_code
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
        return None


def _body(event: Event, client_key: str, *, created: int) -> bytes:
    return json.dumps(
        {
            "client_key": client_key,
            "event": event.name,
            "create_time": created,
            "user_openid": event.open_id,
            "content": json.dumps(event.content),
        }
    ).encode()


def _delivery(event: Event, at: float, attempt: int, status: int | None) -> Delivery:
    publish_id = event.content.get("publish_id")
    return Delivery(
        at=at,
        event=event.name,
        open_id=event.open_id,
        publish_id=publish_id if isinstance(publish_id, str) else None,
        attempt=attempt,
        http_status=status,
    )
