"""Open the parts that depend on the settings alone: database, vault, tracing."""

from pydantic import SecretStr
from sqlalchemy.exc import ArgumentError

from app.domain.events import Render
from app.settings import Settings, SettingsError
from app.store.db.engine import Database
from app.store.db.vault import KeysUnusable, Vault
from app.tracing import Tracing, open_tracing


def plain(secret: SecretStr | None) -> str | None:
    """Return the text of a secret, None if it is not set."""
    return None if secret is None else secret.get_secret_value()


def tracing_of(settings: Settings) -> Tracing:
    """Trace to the configured collector, or not at all."""
    endpoint = settings.otel_exporter_otlp_endpoint
    return open_tracing(None if endpoint is None else str(endpoint))


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
