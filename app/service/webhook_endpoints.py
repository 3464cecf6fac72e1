"""Use cases of webhooks: set, show, test, list events, replay."""

from collections.abc import Callable
from secrets import token_bytes
from typing import Final

from msgspec import Struct, field

from app.domain.api_key import check_scope
from app.domain.errors import FieldError, InvalidInput, TooManyRequests
from app.domain.events import EndpointTest, EventType, Render
from app.domain.guarded import Guarded, Hidden
from app.domain.webhook_endpoint import (
    SECRET_BYTES,
    DeliveryResult,
    EventRecord,
    WebhookEndpoint,
    plain_secret,
    problem_with_endpoint,
    problem_with_secret,
    secret_text,
)
from app.machine.clock import Clock
from app.outbound.webhook_sender import WebhookSender
from app.service.pages import Page, cut_page, decode_cursor, encode_cursor
from app.store.webhooks.endpoints import ReplayFilter, WebhookStore, new_event_id

__all__ = ["PutWebhook", "ReplayFilter", "WebhookService"]
TEST_AGAIN_SECONDS: Final = 1.0


class PutWebhook(Guarded, frozen=True):
    """An endpoint that was set."""

    endpoint: WebhookEndpoint
    created: bool
    secret: Hidden[str | None]  # only if it was just made


class WebhookService(Struct, frozen=True, kw_only=True):
    """One endpoint per project."""

    store: WebhookStore
    sender: WebhookSender
    render: Render
    clock: Clock
    on_due: Callable[[], None]  # wakes the sender; only a hint
    allow_private_urls: bool
    _testing: set[str] = field(default_factory=set)  # projects

    async def put(
        self, project_id: str, *, url: str, secret: str | None, scope: str | None
    ) -> PutWebhook:
        """Set a project's endpoint; a disabled one is enabled.

        Without a secret the current one stays, or one is made. Raises InvalidInput or
        NotFound.
        """
        check_scope(project_id, scope)
        self._check(url, secret)
        fresh = secret_text(token_bytes(SECRET_BYTES))
        done = await self.store.put(
            project_id,
            url=url,
            secret=None if secret is None else plain_secret(secret),
            fresh=fresh,
            now=self.clock.now(),
        )
        shown = fresh if done.uses_fresh else None
        return PutWebhook(done.endpoint, done.created, shown)

    async def get(
        self, project_id: str, *, scope: str | None
    ) -> tuple[WebhookEndpoint, EventRecord | None]:
        """Return an endpoint and its newest sent event; raises NotFound."""
        check_scope(project_id, scope)
        endpoint = await self.store.get(project_id, now=self.clock.now())
        return endpoint, await self.store.last_try(project_id)

    async def delete(self, project_id: str, *, scope: str | None) -> None:
        """Delete an endpoint and its events; raises NotFound."""
        check_scope(project_id, scope)
        await self.store.delete(project_id)

    async def rotate(self, project_id: str, *, scope: str | None) -> PutWebhook:
        """Make a new secret; the current one also signs for a day.

        Raises NotFound.
        """
        check_scope(project_id, scope)
        secret = secret_text(token_bytes(SECRET_BYTES))
        endpoint = await self.store.rotate(project_id, secret, now=self.clock.now())
        return PutWebhook(endpoint, created=False, secret=secret)

    async def test(
        self, project_id: str, *, scope: str | None
    ) -> tuple[str, DeliveryResult]:
        """Send a test event now, even to a disabled endpoint, and return the result.

        One at a time for each project: a receiver may take long. Raises NotFound, or
        TooManyRequests while another one is under way.
        """
        check_scope(project_id, scope)
        if project_id in self._testing:
            raise TooManyRequests(TEST_AGAIN_SECONDS)
        self._testing.add(project_id)
        try:
            return await self._test(project_id)
        finally:
            self._testing.discard(project_id)

    async def _test(self, project_id: str) -> tuple[str, DeliveryResult]:
        now = self.clock.now()
        endpoint = await self.store.get(project_id, now=now)
        event_id = new_event_id()
        body = self.render(EventType.TEST, now, EndpointTest(project_id))
        sent = await self.sender.send(endpoint, event_id=event_id, body=body, now=now)
        await self.store.record_test(project_id, event_id, body, sent)
        return event_id, sent

    async def events(
        self, project_id: str, *, limit: int, cursor: str | None, scope: str | None
    ) -> Page[EventRecord]:
        """Return a page of events, newest first.

        Raises InvalidInput for an invalid cursor, NotFound.
        """
        check_scope(project_id, scope)
        after_id = None if cursor is None else decode_cursor(cursor)
        await self.store.get(project_id, now=self.clock.now())
        found = await self.store.events(project_id, limit=limit + 1, after_id=after_id)
        return cut_page(found, limit, lambda last: encode_cursor(last.id))

    async def replay(
        self, project_id: str, which: ReplayFilter, *, scope: str | None
    ) -> int:
        """Send events again, each with its own id; return how many.

        Raises NotFound or WebhookDisabled.
        """
        check_scope(project_id, scope)
        count = await self.store.replay(project_id, which, now=self.clock.now())
        if count:
            self.on_due()
        return count

    def _check(self, url: str, secret: str | None) -> None:
        allow = self.allow_private_urls
        problems = {
            "/url": problem_with_endpoint(url, allow_private=allow),
            "/secret": None if secret is None else problem_with_secret(secret),
        }
        if wrong := [FieldError(at, text) for at, text in problems.items() if text]:
            raise InvalidInput(*wrong)
