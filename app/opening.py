"""Open the parts that depend on the settings alone: database, vault, tracing."""

import structlog
from pydantic import SecretStr
from sqlalchemy.exc import ArgumentError

from app.domain.events import Render
from app.settings import Settings, SettingsError
from app.store.db.engine import Database
from app.store.db.vault import KeysUnusable, Vault
from app.tracing import Tracing

log = structlog.get_logger(__name__)


def plain(secret: SecretStr | None) -> str | None:
    """Return the text of a secret, None if it is not set."""
    return None if secret is None else secret.get_secret_value()


def open_tracing(settings: Settings) -> Tracing:
    """Trace to the configured collector; without one, not at all.

    Without the extra ``otel`` it only warns: platforms set the variable for whatever
    they run.
    """
    endpoint = settings.otel_exporter_otlp_endpoint
    if endpoint is None:
        return Tracing()
    try:
        from app.tracing.otel import exporting_to
    except ImportError:
        log.warning(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but nothing is traced: the packages"
            " of the extra `otel` are not installed"
        )
        return Tracing()
    return exporting_to(str(endpoint))


def open_database(settings: Settings, *, render: Render | None = None) -> Database:
    """Make the engine; raises SettingsError, which does not quote the URL."""
    try:
        return Database(
            settings.database_url.get_secret_value(),
            pool_size=settings.database_pool_size,
            schema=settings.database_schema,
            render=render,
            mark_commit=settings.database_mark_commit,
            hints=settings.database_hints,
        )
    except ArgumentError:
        raise SettingsError("DATABASE_URL: not a database URL") from None
    except ValueError as error:
        raise SettingsError(f"DATABASE_URL: {error}") from None


def open_vault(settings: Settings) -> Vault:
    """Make the vault; raises SettingsError, which quotes no key."""
    try:
        return Vault.from_settings(
            plain(settings.token_encryption_keys),
            database_url=settings.database_url.get_secret_value(),
        )
    except KeysUnusable as error:
        raise SettingsError(str(error)) from None
