"""Prepare a program: settings, logs, database, and a log line about them."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from app import __version__
from app.machine import collector

with collector.paused():
    import structlog
    from pydantic import HttpUrl

    from app.container import open_container
    from app.logs import configure_logging
    from app.opening import open_database, open_vault
    from app.service.operations.checks import Finding, before_migration
    from app.service.operations.health import DatabaseFound, DatabaseState, found_in
    from app.settings import (
        SHORT_SECRET,
        Settings,
        SettingsError,
        load,
        misspelt_settings,
    )
    from app.store.db.migrate import newest_revision, upgrade
    from app.store.db.sqlite_file import may_be_read_by_others

log = structlog.get_logger(__name__)

DATABASE_PATIENCE_SECONDS: Final = 10.0
_UNREACHABLE: Final = "DATABASE_URL: the database cannot be reached"
_READ_ONLY: Final = "DATABASE_URL: the database can only be read"
_NOT_MIGRATED: Final = (
    "DATABASE_URL: the database is not migrated; run `tiktok-scheduler migrate` first"
)


def prepared(program: str | None = None, *, waits: bool = False) -> Settings:
    """Read the settings, and migrate an SQLite database, which no other service uses.

    A named ``program`` logs what it starts with. One that ``waits`` also starts while
    Postgres is away. Raises SettingsError.
    """
    settings = _settings(queued=program is not None)
    on_sqlite = open_database(settings).is_sqlite
    if not on_sqlite:
        open_vault(settings)
    found = _look_at_database(settings)
    if found.state is DatabaseState.DATABASE_UNAVAILABLE and (
        on_sqlite or found.is_hopeless or not waits
    ):
        raise _because(found, _UNREACHABLE)
    if found.state is DatabaseState.DATABASE_READ_ONLY and not waits:
        raise _because(found, _READ_ONLY)
    revision = found.revision
    if found.state is DatabaseState.DATABASE_NOT_MIGRATED and on_sqlite:
        _upgrade(settings)
        revision = newest_revision()
    elif found.state is DatabaseState.DATABASE_NOT_MIGRATED and not waits:
        raise SettingsError(_NOT_MIGRATED)
    open_vault(settings)  # makes a key beside an SQLite file that is accessible
    if program is not None:
        _announce(program, settings, revision)
    collector.run_less(settings.max_in_flight)
    return settings


def migrate() -> None:
    """Bring the database to the newest revision; raises SettingsError."""
    settings = _settings()
    found = _look_at_database(settings)
    if found.state is DatabaseState.DATABASE_UNAVAILABLE:
        raise _because(found, _UNREACHABLE)
    _upgrade(settings)
    with suppress(SettingsError):  # to migrate needs no keys
        _hand_in(settings)


def _because(found: DatabaseFound, text: str) -> SettingsError:
    """Make an error that includes the cause."""
    return SettingsError(text if found.cause is None else f"{text}: {found.cause}")


def _hand_in(settings: Settings) -> None:
    """Write publish_ids that an earlier process on this machine kept in files."""

    async def hand_in() -> None:
        async with open_container(settings) as container:
            await container.hand_in_if_possible()

    asyncio.run(hand_in())


def _settings(*, queued: bool = False) -> Settings:
    settings = load()
    configure_logging(settings.log_format, settings.log_level, queued=queued)
    return settings


def _look_at_database(settings: Settings) -> DatabaseFound:
    async def look() -> DatabaseFound:
        database = open_database(settings)
        database.trouble.is_told = False  # an error says it in one line
        try:
            return await found_in(database, patience=DATABASE_PATIENCE_SECONDS)
        finally:
            await database.close()

    return asyncio.run(look())


def _upgrade(settings: Settings) -> None:
    _check_database(settings)
    url = settings.database_url.get_secret_value()
    upgrade(url, schema=settings.database_schema)


def _check_database(settings: Settings) -> None:
    """Check the database before a migration begins."""

    async def look() -> list[Finding]:
        database = open_database(settings)
        try:
            return await before_migration(database)
        finally:
            await database.close()

    if wrong := [found for found in asyncio.run(look()) if not found.ok]:
        lines = (f"{found.text}; {found.advice}" for found in wrong)
        raise SettingsError(f"DATABASE_URL: {'. '.join(lines)}")


def _announce(program: str, settings: Settings, revision: str) -> None:
    """Log what a program starts with, in one line without secrets."""
    log.info(
        "starting",
        program=program,
        version=__version__,
        database="sqlite" if open_database(settings).is_sqlite else "postgres",
        revision=revision or "unknown",
        runner=settings.runner.value,
        transfer=settings.transfer.value,
        tiktok=_place(settings.tiktok_api_base_url),
        media_gateway="off" if settings.media_base_url is None else "on",
    )
    for text in _warnings(settings):
        log.warning(text)


def _warnings(settings: Settings) -> Iterator[str]:
    if settings.allow_private_urls:
        yield "ALLOW_PRIVATE_URLS is on: every key holder can reach this network"
    if settings.cron_secret_is_short:
        yield (
            f"CRON_SECRET has fewer than {SHORT_SECRET} characters: it can be guessed,"
            " and anyone with it can start ticks"
        )
    yield from misspelt_settings()
    path = open_database(settings).url.database or ""
    if open_database(settings).is_sqlite and may_be_read_by_others(path):
        yield (
            "the database's file can be read by everyone on this machine: run"
            " chmod 600 on it, and on its -wal and -shm files"
        )


def _place(url: HttpUrl) -> str:
    usual = {"http": 80, "https": 443}[url.scheme] == url.port
    return f"{url.host}" if usual else f"{url.host}:{url.port}"
