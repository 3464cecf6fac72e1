"""Check the settings against the real environment: one line per check.

A setting that is invalid by itself stops every command. These checks find what shows
only in use: a host that does not answer, clocks that differ, a wrong redirect URI.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit

from app.container import Container, open_container
from app.domain.errors import StoreUnavailable
from app.machine.clock import Clock, SystemClock
from app.opening import open_database, open_vault
from app.outbound.client import Outbound
from app.outbound.errors import OutboundError
from app.service.operations.checks import (
    Finding,
    database_checks,
    descriptors,
    finding,
)
from app.service.operations.health import CLOCKS_MAY_DIFFER
from app.settings import RunnerMode, Settings, SettingsError, load, misspelt_settings
from app.store.db.health import HealthStore
from app.store.last_seen import LastSeen

SECONDS: Final = 10.0
CALLBACK: Final = "/oauth/tiktok/callback"
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


async def examine() -> list[Finding]:
    """Make all checks; if settings stop the start, those of settings alone."""
    settings = _loaded()
    if isinstance(settings, list):
        return settings
    findings = [*_of_settings(settings), await _tiktok(settings, SystemClock())]
    if settings.media_base_url is not None:
        url = str(settings.media_base_url)
        findings.append((await _reachable("media gateway", url))[0])
    async with open_container(settings) as container:
        found = await _database(container)
        if all(each.ok for each in found):
            await container.hand_in_if_possible()
    findings += found
    findings.append(_spool_dir(settings))
    in_flight, size = settings.max_in_flight, settings.database_pool_size
    return [*findings, descriptors(in_flight=in_flight, pool_size=size)]


def _loaded() -> Settings | list[Finding]:
    """Load the settings; if any stops the start, return all that is wrong with them."""
    problems, instead = list[str](), dict[str, Any]()
    settings = _load(problems, instead)
    if settings is None:
        return _to_correct(problems)
    if "database_url" not in instead:
        problems += _that_stop_the_start(settings)
    if not problems:
        return settings
    ours = [name.upper() for name in instead]
    return _to_correct(problems) + [
        each
        for each in _of_settings(settings)
        if not each.ok and not any(name in each.text for name in ours)
    ]


def _load(problems: list[str], instead: dict[str, Any]) -> Settings | None:
    """Load with defaults ``instead`` of wrong values, to find what else is wrong.

    None: a file cannot be read.
    """
    while True:
        try:
            return load(**instead)
        except SettingsError as error:
            problems.append(str(error))
            defaults = _defaults_of_named(str(error))
            if defaults.keys() <= instead.keys():
                return None
            instead |= defaults


def _defaults_of_named(text: str) -> dict[str, Any]:
    """Return the defaults of the settings that a text names."""
    return {
        name: field.default
        for name, field in Settings.model_fields.items()
        if name.upper() in text
    }


def _that_stop_the_start(settings: Settings) -> Iterator[str]:
    """Tell what is wrong with the database's URL, or else with the keys."""
    try:
        open_database(settings)  # nothing is connected yet
        open_vault(settings)
    except SettingsError as error:
        yield str(error)


def _to_correct(problems: Iterable[str]) -> list[Finding]:
    return [finding("settings", False, each, "correct it") for each in problems]


def _spool_dir(settings: Settings) -> Finding:
    """Check what a process leaves beside the database for those that come after it."""
    directory = settings.spool_dir
    if not os.access(directory, os.W_OK):
        text = f"{directory} cannot be written"
        advice = "name a directory that stays, in a container a volume"
        return finding("SPOOL_DIR", False, text, advice)
    if not LastSeen(directory).exists:
        return Finding(
            name="SPOOL_DIR",
            ok=True,
            text=f"{directory} holds nothing of an earlier run",
            advice="if one ran here, let it be a volume: else a restore that nobody"
            " announces is not noticed",
        )
    return Finding(name="SPOOL_DIR", ok=True, text=f"{directory} stays between runs")


def _of_settings(settings: Settings) -> Iterator[Finding]:
    for text in misspelt_settings():
        yield finding("settings", False, text, "correct its name")
    yield _client(settings)
    yield _redirect_uri(settings)
    yield _origins(settings)
    yield _runner(settings)
    if settings.allow_private_urls:
        yield Finding(
            name="private addresses",
            ok=urlsplit(str(settings.tiktok_api_base_url)).hostname in LOOPBACK,
            text="ALLOW_PRIVATE_URLS is on: callers can reach into your network",
            advice="unset it in production",
        )


def _client(settings: Settings) -> Finding:
    needed = {
        "TIKTOK_CLIENT_KEY": settings.tiktok_client_key,
        "TIKTOK_CLIENT_SECRET": settings.tiktok_client_secret,
        "TIKTOK_REDIRECT_URI": settings.tiktok_redirect_uri,
    }
    missing = ", ".join(name for name, value in needed.items() if not value)
    return finding(
        "TikTok app",
        not missing,
        f"not set: {missing}" if missing else "all of it is set",
        "accounts cannot be connected, and tokens not refreshed",
    )


def _redirect_uri(settings: Settings) -> Finding:
    uri = settings.tiktok_redirect_uri or ""
    parts = urlsplit(uri)
    problems = []
    if not parts.path.endswith(CALLBACK):
        problems.append(f"does not end with {CALLBACK}")
    if parts.scheme != "https" and parts.hostname not in LOOPBACK:
        problems.append("is not https")
    if parts.query or parts.fragment:
        problems.append("has a query or a fragment, which TikTok refuses")
    return Finding(
        name="redirect URI",
        ok=not (uri and problems),
        text=f"{uri or 'not set'} {' and '.join(problems) if uri else ''}".rstrip(),
        advice="make it equal to the one in TikTok's portal" if uri else "",
    )


def _origins(settings: Settings) -> Finding:
    plain = [
        origin
        for origin in settings.cors_origins
        if urlsplit(origin).scheme != "https"
        and urlsplit(origin).hostname not in LOOPBACK
    ]
    text = ", ".join(settings.cors_origins) or "none: no browser may call"
    return finding("CORS origins", not plain, text, f"not https: {', '.join(plain)}")


def _runner(settings: Settings) -> Finding:
    by_cron = settings.runner is RunnerMode.CRON
    if by_cron and settings.cron_secret is None:
        text = "RUNNER=cron without CRON_SECRET: /cron/tick answers 503"
        advice = "set CRON_SECRET, or run a worker and ignore this"
        return finding("runner", False, text, advice)
    return Finding(
        name="runner",
        ok=True,
        text="by cron" if by_cron else "in the API's process",
        advice="CRON_SECRET is short: make it longer"
        if settings.cron_secret_is_short
        else "",
    )


async def _tiktok(settings: Settings, clock: Clock) -> Finding:
    """Call TikTok's host; the answer's Date tells whether clocks agree."""
    found, told = await _reachable("TikTok", str(settings.tiktok_api_base_url))
    if not found.ok:
        return found
    apart = abs(clock.now() - told) if told else timedelta()
    return finding(
        "TikTok",
        apart <= timedelta(seconds=30),  # for whole seconds, and the network
        f"{found.text}; clocks are {apart.total_seconds():.0f} s apart",
        "set this machine's clock",
    )


async def _reachable(name: str, url: str) -> tuple[Finding, datetime | None]:
    """Request a URL; any answer will do. Return its Date, too."""
    host, outbound = urlsplit(url).netloc, Outbound(allow_private=True)
    try:
        with closing(await outbound.open("GET", url, seconds=SECONDS)) as answer:
            status, date = answer.status, answer.headers.get("date")
    except OutboundError as error:
        text = f"{host} does not answer: {error}"
        return finding(name, False, text, "check name and network"), None
    return finding(name, True, f"{host} answers ({status})"), _parsed(date)


def _parsed(date: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(date).astimezone(UTC) if date else None
    except ValueError:
        return None


async def _database(container: Container) -> list[Finding]:
    found = await database_checks(container.database)
    if not all(each.ok for each in found):
        return found
    store = HealthStore(container.database, container.vault)
    try:
        vitals = await store.look(now=container.clock.now())
    except StoreUnavailable as error:
        return [*found, finding("stored tokens", False, str(error))]
    apart = abs(vitals.clock_ahead)
    return [
        *found,
        finding(
            "stored tokens",
            vitals.keys_fit,
            "can be read" if vitals.keys_fit else "some cannot be decrypted",
            "put the previous TOKEN_ENCRYPTION_KEYS back",
        ),
        finding(
            "clock",
            apart <= CLOCKS_MAY_DIFFER,
            f"{apart.total_seconds():.1f} s apart from the database's",
            "set this machine's clock",
        ),
    ]
