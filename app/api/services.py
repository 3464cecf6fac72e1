"""What the routes work with, made once at the start."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from app.domain.clock import Clock
from app.runner.tick_report import TickReport
from app.service.accounts import AccountService
from app.service.connect import ConnectService
from app.service.feed import JobFeed
from app.service.health import HealthService
from app.service.jobs import JobService
from app.service.keys import KeyService
from app.service.media import MediaService
from app.service.metrics import MetricsService
from app.service.tiktok_events import TikTokEventService
from app.service.webhook_endpoints import WebhookService


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The use cases, and the few settings that the edge itself needs."""

    jobs: JobService
    feed: JobFeed
    accounts: AccountService
    connect: ConnectService
    keys: KeyService
    tiktok_events: TikTokEventService
    webhooks: WebhookService
    media: MediaService | None  # None: the gateway is off
    metrics: MetricsService
    tick: Callable[[], Awaitable[TickReport]]
    health: HealthService
    clock: Clock
    run_by_cron: bool
    default_max_attempts: int
    cron_secret: str | None = field(repr=False)


async def services_of(request: Request) -> Services:
    """Return what the app was started with."""
    # Waits for nothing, yet async: FastAPI would run a plain function in a thread.
    services: Services = request.app.state.services
    return services


Wired = Annotated[Services, Depends(services_of)]
