"""Every variable that the service reads; .env.example lists the same."""

import re
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    HttpUrl,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from app.domain.errors import in_our_words
from app.domain.jobs.backoff import (
    CAP_SECONDS,
    STEPS_SECONDS,
    RetryPolicy,
    UnconfirmedInit,
)
from app.domain.jobs.job import Transfer
from app.domain.jobs.retention import LEAST_KEPT
from app.domain.posts.asset_url import MAX_UNSEEN_URL_LENGTH, MAX_URL_LENGTH
from app.domain.posts.upload import (
    LEAST_CHUNK_BYTES,
    MOST_CHUNK_BYTES,
    TIKTOK_UPLOAD_HOSTS,
    ChunkSizes,
    problem_with_host_rule,
)
from app.environment import EnvironmentUnreadable, misspelt, read_environment

_ORIGIN: Final = re.compile(
    r"(https?)://(?:[\w.-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?", re.ASCII
)
_USUAL_PORT: Final = {"http": "80", "https": "443"}
_VERIFICATION: Final = re.compile(r"([A-Za-z0-9._-]{1,128}):([\x20-\x7e]{1,512})")
_SCHEMA: Final = re.compile(r"^[a-z_][a-z0-9_$]{0,62}$")

LONGEST_STEP: Final = 365 * 86_400
"""The longest step of a schedule, in seconds: no calendar supports any number."""

SHORT_SECRET: Final = 16
"""The least length of a secret; a shorter one can be guessed."""


class SettingsError(Exception):
    """A setting is missing or malformed; the text names it and holds no secret."""


class RunnerMode(StrEnum):
    """Who runs due jobs beside the HTTP API."""

    EMBEDDED = "embedded"
    CRON = "cron"


def _network(text: str) -> str:
    """Parse an address or a network; raises ValueError."""
    return str(ip_network(text)) if "/" in text else str(ip_address(text))


def _split(value: object) -> object:
    """Split a comma list."""
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _minutes(value: object) -> object:
    """Split a comma list of minutes; ``off`` means none, as empty means the default."""
    return () if value == "off" else _split(value)


def _one_line(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().strip():
        raise ValueError("must not be empty")
    return value


def _sendable(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[\x21-\x7e]+", value.get_secret_value()):
        raise ValueError("must be visible ASCII, or no header can carry it")
    return value


def _written_out(value: SecretStr) -> SecretStr:
    if "${" in value.get_secret_value():
        raise ValueError("${…} is not replaced here; write %24%7B for the signs")
    return value


def _origin(value: str) -> str:
    origin = value.lower().removesuffix("/")
    if origin == "*":
        return origin
    if (found := _ORIGIN.fullmatch(origin)) is None:
        raise ValueError("each is a scheme and a host, as in https://app.example.com")
    scheme, port = found.groups()
    # A browser leaves out the port that its scheme implies.
    return origin.removesuffix(f":{port}") if port == _USUAL_PORT[scheme] else origin


def _schema(value: str) -> str:
    if not _SCHEMA.fullmatch(value) or value.startswith("pg_"):
        raise ValueError("must be the plain name of a schema, in small letters")
    return value


def _small(value: object) -> object:
    """Read a word in any case."""
    return value.lower() if isinstance(value, str) else value


def _exact_url(value: str) -> str:
    # A string: TikTok compares redirect URIs byte by byte, and HttpUrl may change one.
    try:
        HttpUrl(value)
    except ValidationError:
        raise ValueError("must be an http or https URL") from None
    return value


def _base(value: str) -> str:
    if "?" in value or "#" in value:
        raise ValueError("must have no query and no fragment: paths are added to it")
    return value


def _name_and_content(value: object) -> object:
    """Split TikTok's verification file into its name, a colon, and its content."""
    if not isinstance(value, str):
        return value
    found = _VERIFICATION.fullmatch(value)
    if found is None:
        raise ValueError("must be name:content, as of the file that TikTok gave you")
    return found.groups()


Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
LogLevel = Literal["debug", "info", "warning", "error"]
VerificationFile = Annotated[
    tuple[str, str], NoDecode, BeforeValidator(_name_and_content)
]
PerMinute = Annotated[int, Field(ge=1, le=100_000)]
Secret = Annotated[SecretStr, AfterValidator(_one_line)]
CronSecret = Annotated[Secret, AfterValidator(_sendable)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_written_out)]
Schema = Annotated[str, AfterValidator(_schema)]
Origins = Annotated[
    tuple[Annotated[str, AfterValidator(_origin)], ...],
    NoDecode,
    BeforeValidator(_split),
]
WordList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Proxies = Annotated[
    tuple[Annotated[str, AfterValidator(_network)], ...],
    NoDecode,
    BeforeValidator(_split),
]
ExactUrl = Annotated[str, AfterValidator(_exact_url)]
Steps = Annotated[
    tuple[Annotated[float, Field(ge=0, le=LONGEST_STEP, allow_inf_nan=False)], ...],
    NoDecode,
    BeforeValidator(_split),
    Field(min_length=1),
]
MinutesAhead = Annotated[
    tuple[Annotated[int, Field(ge=1, le=10_080)], ...],
    NoDecode,
    BeforeValidator(_minutes),
]


def _secrets(fields: dict[str, FieldInfo]) -> list[str]:
    return [
        name for name, field in fields.items() if "SecretStr" in repr(field.annotation)
    ]


class Settings(BaseSettings):
    """The environment; an empty variable counts as unset."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _trimmed(cls, value: object) -> object:
        """Strip white space at the ends of a value."""
        if isinstance(value, SecretStr):
            return SecretStr(value.get_secret_value().strip())
        return value.strip() if isinstance(value, str) else value

    database_url: DatabaseUrl = SecretStr("sqlite+aiosqlite:///./scheduler.db")
    database_schema: Schema | None = None
    database_pool_size: Annotated[int, Field(ge=1, le=1000)] = 10
    database_hints: bool = True
    database_mark_commit: Literal["on", "remote_apply"] | None = None
    cron_secret: CronSecret | None = None
    runner: Annotated[RunnerMode, BeforeValidator(_small)] = RunnerMode.EMBEDDED

    tiktok_api_base_url: HttpUrl = HttpUrl("https://open.tiktokapis.com")
    tiktok_authorize_url: HttpUrl = HttpUrl("https://www.tiktok.com/v2/auth/authorize/")
    tiktok_client_key: str | None = None
    tiktok_client_secret: Secret | None = None
    tiktok_redirect_uri: ExactUrl | None = None
    tiktok_scopes: WordList = ("user.info.basic", "video.publish", "video.upload")
    tiktok_pkce: bool = True
    token_encryption_keys: SecretStr | None = None

    poll_interval_seconds: Seconds = 5
    poll_deadline_seconds: Seconds = 90
    claim_timeout_seconds: Seconds = 300
    claim_batch_size: Annotated[int, Field(ge=1, le=10_000)] = 100
    max_in_flight: Annotated[int, Field(ge=1, le=100_000)] = 500
    backoff_seconds: Steps = STEPS_SECONDS
    backoff_cap_seconds: Seconds = CAP_SECONDS
    max_attempts: Annotated[int, Field(ge=1, le=100)] = 5
    tick_budget_seconds: Seconds = 55
    http_timeout_seconds: Seconds = 10
    sole_publisher: bool = False
    clock_tolerance_seconds: Seconds = 5
    spool_dir: Path = Path()
    unconfirmed_init: Annotated[UnconfirmedInit, BeforeValidator(_small)] = (
        UnconfirmedInit.HOLD
    )

    tiktok_init_per_minute: PerMinute = 6
    tiktok_status_per_minute: PerMinute = 30
    tiktok_creator_info_per_minute: PerMinute = 20

    transfer: Transfer = Transfer.PULL
    upload_hosts: WordList = ()
    upload_whole_bytes: Annotated[int, Field(ge=1, le=MOST_CHUNK_BYTES)] = 64_000_000
    upload_chunk_bytes: Annotated[int, Field(ge=1, le=MOST_CHUNK_BYTES)] = 10_000_000

    readiness_minutes: MinutesAhead = (60, 10)

    media_base_url: Annotated[ExactUrl, AfterValidator(_base)] | None = None
    media_verification: VerificationFile | None = None

    retention_days: Annotated[int, Field(ge=LEAST_KEPT.days, le=3650)] | None = None

    otel_exporter_otlp_endpoint: HttpUrl | None = None

    metrics_host: str = "127.0.0.1"
    metrics_port: Annotated[int, Field(ge=0, le=65_535)] | None = None

    webhook_timeout_seconds: Seconds = 15
    # Three days in total, as the Standard Webhooks specification suggests.
    webhook_retry_seconds: Steps = (
        *(5, 300, 1800, 7200, 18_000),
        *(36_000, 50_400, 72_000, 86_400),
    )

    request_timeout_seconds: Seconds = 20
    trusted_proxies: Proxies = ()
    rate_limit_per_minute: Annotated[int, Field(ge=0, le=10_000_000)] = 6000

    cors_origins: Origins = ()
    allow_private_urls: bool = False
    log_format: Annotated[Literal["console", "json"], BeforeValidator(_small)] = (
        "console"
    )
    log_level: Annotated[LogLevel, BeforeValidator(_small)] = "info"

    def __init__(self, _env_file: str | Path | None = ".env", **values: Any) -> None:  # noqa: ANN401  as pydantic
        """Read what is not passed; raises EnvironmentUnreadable and ValidationError."""
        fields = type(self).model_fields
        found = read_environment(
            fields,
            secrets=_secrets(fields),
            env_file=None if _env_file is None else Path(_env_file),
        )
        super().__init__(**{**found, **values})

    @classmethod
    def settings_customise_sources(
        cls,
        *_: object,
        **sources: Any,  # noqa: ANN401  as pydantic
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leave the reading to ``app.environment``."""
        return (sources["init_settings"],)

    @model_validator(mode="after")
    def _claims_outlive_polls(self) -> Self:
        if self.claim_timeout_seconds <= self.poll_deadline_seconds:
            raise ValueError(
                "CLAIM_TIMEOUT_SECONDS must be greater than POLL_DEADLINE_SECONDS,"
                " or jobs that are still polled would count as abandoned"
            )
        return self

    @model_validator(mode="after")
    def _uploads_can_work(self) -> Self:
        for rule in self.upload_hosts:
            if problem := problem_with_host_rule(rule):
                raise ValueError(f"UPLOAD_HOSTS {problem}")
        # The simulator can be set to smaller chunks; TikTok cannot.
        if not self.allow_private_urls and self.upload_chunk_bytes < LEAST_CHUNK_BYTES:
            raise ValueError(
                f"UPLOAD_CHUNK_BYTES must be at least {LEAST_CHUNK_BYTES}, as TikTok"
                " takes no smaller chunks"
            )
        return self

    @property
    def cron_secret_is_short(self) -> bool:
        """Tell whether the cron secret is short enough to be guessed."""
        secret = self.cron_secret
        return secret is not None and len(secret.get_secret_value()) < SHORT_SECRET

    @cached_property
    def allowed_upload_hosts(self) -> tuple[str, ...]:
        """Return the hosts that videos may be uploaded to: by default TikTok's.

        Another API host, such as the simulator's, may take uploads itself.
        """
        api = self.tiktok_api_base_url
        return self.upload_hosts or (*TIKTOK_UPLOAD_HOSTS, f"{api.host}:{api.port}")

    @cached_property
    def chunk_sizes(self) -> ChunkSizes:
        """Return the chunk sizes of uploads."""
        return ChunkSizes(whole=self.upload_whole_bytes, chunk=self.upload_chunk_bytes)

    @property
    def longest_pulled_url(self) -> int:
        """Return how long a pulled URL may be: TikTok does not see the gateway's."""
        is_seen = self.media_base_url is None
        return MAX_URL_LENGTH if is_seen else MAX_UNSEEN_URL_LENGTH

    @cached_property
    def preflight_times(self) -> tuple[timedelta, ...]:
        """Return how long before its time a job is checked."""
        return tuple(timedelta(minutes=each) for each in self.readiness_minutes)

    @cached_property
    def retention(self) -> timedelta | None:
        """Return how long records of ended jobs are kept; None: for ever."""
        days = self.retention_days
        return None if days is None else timedelta(days=days)

    @cached_property
    def retry_policy(self) -> RetryPolicy:
        """Return the retry schedule."""
        return RetryPolicy(
            steps=self.backoff_seconds,
            cap=self.backoff_cap_seconds,
            unconfirmed=self.unconfirmed_init,
        )


def misspelt_settings(env_file: str | Path | None = ".env") -> list[str]:
    """Return a sentence for each variable that looks like a setting and is none."""
    found = misspelt(
        Settings.model_fields, env_file=None if env_file is None else Path(env_file)
    )
    return [f"{name} is no setting; did you mean {meant}?" for name, meant in found]


def load(**overrides: object) -> Settings:
    """Read the environment and .env.

    Raises SettingsError with one line that names each wrong variable, without its
    value, which could be a secret.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # pydantic checks them
    except EnvironmentUnreadable as error:
        raise SettingsError(str(error)) from None
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False)
        # For a list with several mistakes, report the first.
        lines = {problem["loc"][:1]: _line(problem) for problem in reversed(problems)}
        raise SettingsError("; ".join(reversed(lines.values()))) from None


def _line(problem: ErrorDetails) -> str:
    message = in_our_words(problem["msg"])
    name = str(problem["loc"][0]).upper() if problem["loc"] else ""
    return f"{name}: {message}" if name else message
