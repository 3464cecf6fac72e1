"""How the simulated TikTok behaves; every value can change while it runs."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Camel(BaseModel):
    """Read and write camelCase JSON, and refuse names that nobody knows."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )


class Quotas(Camel):
    """Allow so many calls per account and window; None switches a quota off.

    Figures: https://developers.tiktok.com/doc/tiktok-api-v2-rate-limit
    """

    init: int | None = Field(default=6, ge=0)
    status: int | None = Field(default=30, ge=0)
    creator_info: int | None = Field(default=20, ge=0)


class SandboxSettings(Camel):
    """Describe one simulated TikTok app and the weather it runs in.

    All durations are in seconds.
    """

    client_key: str = "sandbox_key"
    client_secret: str = Field(default="sandbox_secret", repr=False)
    expires_in: int = Field(default=7200, ge=0)
    refresh_expires_in: int = Field(default=180 * 86400, ge=0)
    refresh_grace: float = Field(default=0, ge=0)
    """How long a rotated pair still works; TikTok documents no such grace."""
    oauth_error_status: Literal[200, 400] = 400
    """Integrators report OAuth errors with either status."""
    consent_page: bool = False
    """Show a page with Approve and Deny instead of approving at once."""

    quotas: Quotas | None = Quotas()
    quota_window_seconds: float = Field(default=60, gt=0)
    latency_seconds: float = Field(default=0, ge=0)
    """Added to every TikTok call, for benchmarks that want a real distance."""

    date_shift_seconds: float = 0
    """How far TikTok's clock is ahead, as its Date header tells it."""
    signed_in_as: str = "sandbox_user"
    """Who the browser is signed in as when it comes to the consent page."""

    upload_base_url: str | None = Field(default=None, pattern=r"^https?://[^/]+$")
    """Where upload URLs lead; without it, the address that the init was sent to."""
    upload_lifetime_seconds: float = Field(default=3600, gt=0)
    min_chunk_bytes: int = Field(default=5_000_000, ge=1)
    max_chunk_bytes: int = Field(default=64_000_000, ge=1)
    max_last_chunk_bytes: int = Field(default=128_000_000, ge=1)
    check_media: bool = True
    """Fail media that cannot be posted: format, duration, frame rate, size."""
    cancel_seconds: float = Field(default=0, ge=0)
    """How long a cancel takes; a pull that is done by then goes on."""
    verified_urls: tuple[str, ...] | None = None
    """Domains and URL prefixes that media may be pulled from; None: all."""

    pull: bool = True
    """Fetch the video for real; switched off, every video counts as fetched."""
    pull_timeout_seconds: float = Field(default=60, gt=0)
    processing_seconds: float = Field(default=1, ge=0)

    webhook_url: str | None = Field(default=None, pattern=r"^https?://")
    webhook_attempts: int = Field(default=4, ge=1)
    webhook_retry_seconds: float = Field(default=0.5, ge=0)
    """Wait before the second delivery; doubles with each further one."""

    seed: int | None = None
    """Makes faults with a probability fall the same way again."""

    def shown(self) -> dict[str, Any]:
        """Give the settings as JSON, without the client secret."""
        return self.model_dump(mode="json", by_alias=True, exclude={"client_secret"})


def merged(settings: SandboxSettings, changes: Mapping[str, object]) -> SandboxSettings:
    """Lay changes (in camelCase) over settings; quotas are merged one by one."""
    former = settings.model_dump(by_alias=True)
    quotas = changes.get("quotas")
    if isinstance(quotas, dict):
        changes = {**changes, "quotas": {**(former["quotas"] or {}), **quotas}}
    return SandboxSettings.model_validate({**former, **changes})
