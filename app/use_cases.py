"""Every use case of the API and the command line, made from the container's parts."""

from functools import cached_property

from app.container import Container
from app.domain.jobs.job import Job
from app.machine.callers import acting_for
from app.machine.clock import Clock
from app.machine.descriptors import hard_limit, share_out
from app.metrics import MetricsService
from app.opening import plain
from app.outbound.media.checker import MediaChecker
from app.runner.tick_report import TickReport
from app.schemas.job_answers import JobAnswer
from app.service.accounts.accounts import AccountService
from app.service.accounts.connect import ConnectService, OAuthApp
from app.service.browser_tokens import BrowserTokens
from app.service.caller_limits import FailedAuthentications, RateLimit
from app.service.jobs.feed import JobFeed
from app.service.jobs.holds import HoldService
from app.service.jobs.jobs import JobService
from app.service.jobs.publish_canceller import PublishCanceller
from app.service.jobs.validation import ValidationService
from app.service.keys import KeyService
from app.service.media import MediaService
from app.service.operations.health import HealthService
from app.service.operations.restore import RestoreService
from app.service.operations.status import StatusService
from app.service.tiktok_events import TikTokEventService
from app.service.webhook_endpoints import WebhookService
from app.store.accounts.oauth_states import OAuthStateStore
from app.store.accounts.overview import AccountOverviewStore
from app.store.backlog import BacklogStore
from app.store.jobs.requests.changes import ChangeStore
from app.store.jobs.tiktok_events import TikTokEventStore


class UseCases:
    """The use cases; each is made once, when first used.

    Routes and commands use these, and not the container's parts.
    """

    def __init__(self, container: Container) -> None:
        self._container = container

    @cached_property
    def jobs(self) -> JobService:
        """Return the use cases of jobs."""
        parts = self._container
        return JobService(
            store=parts.jobs,
            database=parts.database,
            clock=parts.clock,
            on_due=parts.runner.wake,
            allow_private_urls=parts.settings.allow_private_urls,
            default_transfer=parts.settings.transfer,
            longest_pulled=parts.settings.longest_pulled_url,
            metrics=parts.metrics,
            canceller=PublishCanceller(
                grants=parts.grants,
                tiktok=parts.tiktok,
                pacer=parts.pacer,
                clock=parts.clock,
            ),
        )

    @cached_property
    def feed(self) -> JobFeed:
        """Return the stream of changed jobs."""
        parts = self._container
        return JobFeed(
            store=ChangeStore(parts.database),
            keys=parts.keys,
            show=lambda job: self.show(job).model_dump_json(by_alias=True),
            clock=parts.clock,
            stop=parts.stop,
        )

    @cached_property
    def accounts(self) -> AccountService:
        """Return the use cases of accounts."""
        parts = self._container
        return AccountService(
            store=parts.accounts,
            overview=AccountOverviewStore(parts.database, parts.vault),
            grants=parts.grants,
            tiktok=parts.tiktok,
            options=parts.creator_options,
            pacer=parts.pacer,
            clock=parts.clock,
        )

    @cached_property
    def holds(self) -> HoldService:
        """Return the use cases of holds."""
        parts = self._container
        return HoldService(
            store=parts.holds, clock=parts.clock, on_due=parts.runner.wake
        )

    @cached_property
    def restore(self) -> RestoreService:
        """Return what to do after a restore."""
        return self._container.restore

    @cached_property
    def validation(self) -> ValidationService:
        """Return the validation of jobs before they are scheduled."""
        return ValidationService(
            jobs=self.jobs,
            accounts=self.accounts,
            holds=self.holds,
            clock=self.clock,
            media=MediaChecker(self._container.outbound),
        )

    @cached_property
    def connect(self) -> ConnectService:
        """Return the sign-in at TikTok."""
        parts, settings = self._container, self._container.settings
        app = OAuthApp(
            authorize_url=str(settings.tiktok_authorize_url),
            client_key=settings.tiktok_client_key,
            client_secret_is_set=settings.tiktok_client_secret is not None,
            redirect_uri=settings.tiktok_redirect_uri,
            scopes=settings.tiktok_scopes,
            pkce=settings.tiktok_pkce,
            frontend_origins=settings.cors_origins,
        )
        return ConnectService(
            app=app,
            accounts=parts.accounts,
            states=OAuthStateStore(parts.database, parts.vault),
            tiktok=parts.tiktok,
            clock=parts.clock,
        )

    @cached_property
    def keys(self) -> KeyService:
        """Return the use cases of API keys."""
        return KeyService(store=self._container.keys, clock=self.clock)

    @cached_property
    def browser_tokens(self) -> BrowserTokens:
        """Return the issuer of browser tokens."""
        return BrowserTokens(self._container.vault, self.clock)

    @cached_property
    def rate_limit(self) -> RateLimit:
        """Return the rate limit of keys."""
        limit = self._container.settings.rate_limit_per_minute
        return RateLimit(limit, self.clock)

    @cached_property
    def failed_authentications(self) -> FailedAuthentications:
        """Return the delays of failed authentications."""
        return FailedAuthentications(self.clock)

    @cached_property
    def tiktok_events(self) -> TikTokEventService:
        """Return the receiver of TikTok's events."""
        parts = self._container
        return TikTokEventService(
            store=TikTokEventStore(parts.database),
            clock=parts.clock,
            client_key=parts.settings.tiktok_client_key,
            client_secret=plain(parts.settings.tiktok_client_secret),
            on_hint=parts.runner.wake_for_tiktok,
            metrics=parts.metrics,
        )

    @cached_property
    def webhooks(self) -> WebhookService:
        """Return the use cases of webhooks."""
        parts = self._container
        return WebhookService(
            store=parts.webhooks,
            sender=parts.webhook_sender,
            render=parts.render_event,
            clock=parts.clock,
            on_due=parts.runner.wake_deliveries,
            allow_private_urls=parts.settings.allow_private_urls,
        )

    @cached_property
    def media(self) -> MediaService | None:
        """Return the media gateway, None if it is off."""
        parts = self._container
        if parts.settings.media_base_url is None:
            return None
        return MediaService(
            store=parts.media_links, outbound=parts.outbound, clock=parts.clock
        )

    @cached_property
    def media_verification(self) -> tuple[str, str] | None:
        """Return name and content of the file that verifies the gateway's domain."""
        return self._container.settings.media_verification

    @cached_property
    def status(self) -> StatusService:
        """Return the status for operators."""
        parts = self._container
        return StatusService(
            database=parts.database,
            backlog=BacklogStore(parts.database),
            runners=parts.runners,
            descriptors=share_out(
                hard_limit(),
                in_flight=parts.settings.max_in_flight,
                pool_size=parts.settings.database_pool_size,
            ),
            clock=parts.clock,
        )

    @property
    def metrics(self) -> MetricsService:
        """Return the renderer of the metrics."""
        return self._container.figures

    @property
    def health(self) -> HealthService:
        """Return the health checks."""
        return self._container.health

    @property
    def clock(self) -> Clock:
        """Return the clock."""
        return self._container.clock

    @property
    def default_max_attempts(self) -> int:
        """Return the number of attempts of a job that names none."""
        return self._container.settings.max_attempts

    @property
    def cron_secret(self) -> str | None:
        """Return the secret of /cron/tick, None if it is off."""
        return plain(self._container.settings.cron_secret)

    async def tick(self) -> TickReport:
        """Run what is due, within TICK_BUDGET_SECONDS."""
        parts = self._container
        with acting_for(None):  # posts count towards no caller's share
            await parts.ready()
            return await parts.runner.tick(
                budget=parts.settings.tick_budget_seconds, stop=parts.stop
            )

    def show(self, job: Job) -> JobAnswer:
        """Show a job with the current notice for its owner."""
        parts = self._container
        return JobAnswer.of(job, run_by_cron=parts.run_by_cron, now=parts.clock.now())
