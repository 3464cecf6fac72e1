"""The compose page's week in which clocks change, in a real browser."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Final
from urllib.request import Request, urlopen
from zoneinfo import ZoneInfo

import pytest

from examples.site import Site
from tests.browser.chromium import BINARY, Page
from tests.browser.test_compose_page import choose, opened

pytestmark = [
    pytest.mark.skipif(BINARY is None, reason="no Chromium on this machine"),
    pytest.mark.skipif(shutil.which("npm") is None, reason="no npm on this machine"),
]
ZONES: Final = ("Europe/Berlin", "America/New_York")
STEP: Final = timedelta(minutes=30)
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)

# Lets the page believe in another day, so that its calendar opens there.
TODAY: Final = """{
  const Real = Date, ahead = %d - Real.now();
  Date = class extends Real {
    constructor(...given) {
      given.length ? super(...given) : super(Real.now() + ahead);
    }
    static now() { return Real.now() + ahead; }
  };
}"""


def next_change(zone: ZoneInfo, *, forward: bool) -> datetime:
    """Return the first moment, in UTC, at which clocks have been changed."""
    now = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + DAY
    while True:
        before, after = (
            each.astimezone(zone).utcoffset() for each in (now, now + STEP)
        )
        assert before is not None
        assert after is not None
        if (after > before) if forward else (after < before):
            return now + STEP
        now += STEP


async def test_posts_stand_at_the_day_and_hour_of_the_persons_clock(
    tmp_path: Path,
) -> None:
    """Both changes of a year, in two zones; what is chosen in the hour is told."""
    async with opened(tmp_path) as (page, site):
        for name in ZONES:
            for forward in (True, False):
                zone = ZoneInfo(name)
                change = next_change(zone, forward=forward).astimezone(zone)
                await the_week_of(change, page, site)
                await chosen_in_the_changed_hour(page, site, change)


async def the_week_of(change: datetime, page: Page, site: Site) -> None:
    """Look at a week from its first hour to its last; its neighbours' are not shown."""
    zone, sunday = change.tzinfo, change.date()
    instant = change.astimezone(UTC)
    monday, next_monday = (midnight(sunday + DAY * days, zone) for days in (-6, 1))
    moments = [
        *(monday, instant - 2 * HOUR, instant - HOUR, instant - STEP),
        *(instant, instant + STEP, instant + 2 * HOUR, next_monday - STEP),
    ]
    for moment in [monday - STEP, *moments, next_monday]:
        await asyncio.to_thread(schedule, site, moment)
    # The list has the newest only; the week has to ask for its own.
    await asyncio.to_thread(schedule_many, site, next_monday + 60 * DAY)
    days = [sunday - DAY * days for days in range(6, -1, -1)]
    wanted = [
        (
            day_of(day),
            [
                f"{each.astimezone(zone):%H:%M}"
                for each in moments
                if each.astimezone(zone).date() == day
            ],
        )
        for day in days
    ]
    async with believing(page, change):
        found = await week(page, day_of(days[0]), len(moments))
    assert [(day, [entry[:5] for entry in entries]) for day, entries in found] == wanted
    twice = [entry for _, entries in found for entry in entries if "GMT" in entry]
    assert len(set(twice)) == (0 if goes_forward(change) else 4)


def goes_forward(change: datetime) -> bool:
    """Tell whether clocks go forward at this moment."""
    before = (change.astimezone(UTC) - STEP).astimezone(change.tzinfo).utcoffset()
    after = change.utcoffset()
    assert before is not None
    assert after is not None
    return after > before


async def chosen_in_the_changed_hour(page: Page, site: Site, at: datetime) -> None:
    """Choose a time that does not exist, or comes twice: the page says what it does."""
    zone, forward = at.tzinfo, goes_forward(at)
    # The change ends the hour that is missing, and begins the one that is repeated.
    wall = at.replace(tzinfo=None) + (-STEP if forward else STEP)
    moment = at.astimezone(UTC) + (STEP if forward else -STEP)
    title = f"Chosen {moment:%m-%d}"
    await page.write("#title", title)
    await choose(page, "SELF_ONLY")
    field = "document.querySelector('#when')"
    await page.see(
        f"({field}.value = '{wall:%Y-%m-%dT%H:%M}', {field}"
        ".dispatchEvent(new Event('input', {bubbles: true})), true)"
    )
    told = await page.see("document.querySelector('#when-note').textContent")
    assert ("forward" if forward else "twice") in told
    assert f"{moment.astimezone(zone):%H:%M}" in told
    await page.click("#schedule:not(:disabled)")
    await page.see(
        "[...document.querySelectorAll('.post strong')]"
        f".some((each) => each.textContent === '{title}')"
    )
    jobs = await asyncio.to_thread(ask, site, "GET", "/v1/jobs?limit=1")
    made = jobs["items"][0]
    assert made["post"]["title"] == title
    assert datetime.fromisoformat(made["scheduledFor"]) == moment


def midnight(day: date, zone: tzinfo | None) -> datetime:
    """Return when a day begins."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def day_of(day: date) -> str:
    """Write a day as the page does."""
    return f"{day:%a} {day.day} {day:%b}"


@asynccontextmanager
async def believing(page: Page, moment: datetime) -> AsyncIterator[None]:
    """Load the page again in the moment's zone, on its day, in British English."""
    zone = str(moment.tzinfo)
    await page.call("Emulation.setTimezoneOverride", timezoneId=zone)
    await page.call("Emulation.setLocaleOverride")  # a second one is refused
    await page.call("Emulation.setLocaleOverride", locale="en-GB")
    today = TODAY % (moment.timestamp() * 1000)
    added = await page.call("Page.addScriptToEvaluateOnNewDocument", source=today)
    await page.call("Page.reload")
    try:
        yield
    finally:
        await page.call("Page.removeScriptToEvaluateOnNewDocument", **added)


async def week(page: Page, first: str, many: int) -> list[tuple[str, list[str]]]:
    """Return each day of the calendar with its entries, once there are so many."""
    await page.see(
        "document.querySelector('#week h3')?.textContent.replace(',', '')"
        f" === '{first}'"
    )
    await page.see(f"document.querySelectorAll('#week .day li').length === {many}")
    told = await page.see(
        "JSON.stringify([...document.querySelectorAll('#week .day')].map((day) =>"
        " [day.querySelector('h3').textContent.replace(',', ''),"
        " [...day.querySelectorAll('li')].map((each) => each.textContent)]))"
    )
    return [(day, entries) for day, entries in json.loads(told)]


def schedule(site: Site, moment: datetime) -> None:
    """Ask the service for a post at this moment."""
    ask(site, "POST", "/v1/jobs", job_at(site, moment))


def schedule_many(site: Site, moment: datetime) -> None:
    """Ask for more posts than the list shows, a minute after each other."""
    times = [moment + timedelta(minutes=minute) for minute in range(60)]
    items = [job_at(site, each) for each in times]
    ask(site, "POST", "/v1/jobs/batch", {"items": items})


def job_at(site: Site, moment: datetime) -> dict[str, object]:
    """Write the request for a post."""
    return {
        "projectId": "proj_1",
        "assetId": "asset_9",
        "assetUrl": f"{site.tiktok}/_sandbox/video.mp4",
        "scheduledFor": moment.isoformat(),
        "post": {"title": f"{moment:%dT%H:%M}", "privacyLevel": "SELF_ONLY"},
    }


def ask(
    site: Site, method: str, path: str, body: Mapping[str, object] | None = None
) -> dict[str, Any]:
    """Call the service."""
    request = Request(
        site.api + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {site.key}",
            "Content-Type": "application/json",
        },
    )
    with urlopen(request) as answer:
        found: dict[str, Any] = json.load(answer)
    return found
