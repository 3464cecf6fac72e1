"""Each alert fires in a real Prometheus that scrapes real processes.

An hour of the rules is a minute here: durations and pauses are compressed alike, limits
are left as they are.
"""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml  # type: ignore[import-untyped]  # ships no types
from sqlalchemy import insert, make_url

from app.domain.jobs.job import Job, NewJob
from app.domain.posts.post import Post, PrivacyLevel
from app.store.jobs.tables import schedule_jobs
from tests.support.factories import abandoned, job_row, store_row
from tests.support.patience import PATIENCE_SECONDS
from tests.support.receiver import SECRET, receiving
from tests.support.relay import relaying
from tests.support.repository import ROOT
from tests.system.programs import free_port, until
from tests.system.site import Site

pytestmark = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="Prometheus is not installed"
)

RULES: Final = ROOT / "deploy" / "prometheus" / "alerts.yml"
DURATION: Final = re.compile(r"\b(\d+)([mh])\b")
SECONDS: Final = {"m": 1, "h": 60}
LATER: Final = {
    *("AppRests", "InstanceDown", "DueJobsWait", "NothingIsClaimed"),
    *("DatabaseDown", "NoMetrics"),
}
"""What fires only once the whole app rests, or processes and database are gone."""

LONG_AGO: Final = timedelta(minutes=10)
UNREFRESHED: Final = tuple(f"unrefreshed_{number}" for number in range(5))
# What goes wrong in each project, at which call.
FAULTS: Final[tuple[tuple[str, str, Mapping[str, Any]], ...]] = (
    ("unconfirmed", "init", {"kind": "reset", "taken": True}),
    (
        "banned",
        "init",
        {"kind": "error", "code": "spam_risk_user_banned_from_posting"},
    ),
    ("troubled", "creator_info", {"kind": "gateway"}),
    ("capped", "init", {"kind": "error", "code": "reached_active_user_cap"}),
    *((project, "token", {"kind": "gateway"}) for project in UNREFRESHED),
    ("removed", "creator_info", {"kind": "token_death"}),
    ("removed", "token", {"kind": "invalid_grant"}),
)


def every_alert() -> set[str]:
    """Name the alerts that there are."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"] for group in groups for rule in group["rules"]}


@dataclass(slots=True)
class Prometheus:
    """A real one, and the alerts that it ever fired."""

    url: str
    fired: set[str] = field(default_factory=set)

    async def scrapes(self, *urls: str) -> None:
        """Wait until it has seen these processes."""

        async def seen() -> bool:
            found = await self._ask("query", query="up == 1")
            there = {each["metric"]["instance"] for each in found["result"]}
            return there >= {url.removeprefix("http://") for url in urls}

        await until(seen, what=f"scrapes of {urls}")

    async def fires(self, *names: str) -> None:
        """Wait until it has fired these."""

        async def fired() -> bool:
            found = (await self._ask("alerts"))["alerts"]
            firing = (each for each in found if each["state"] == "firing")
            self.fired |= {each["labels"]["alertname"] for each in firing}
            return self.fired >= set(names)

        try:
            await until(fired, what="alerts")
        except AssertionError:
            raise AssertionError(f"silent: {set(names) - self.fired}") from None

    async def _ask(self, what: str, **query: str) -> Any:  # noqa: ANN401  its JSON
        async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client:
            answer = await client.get(f"{self.url}/api/v1/{what}", params=query)
        return answer.raise_for_status().json()["data"]

    async def answers(self) -> bool:
        """Tell whether it has started."""
        try:
            await self._ask("alerts")
        except httpx.HTTPError:
            return False
        return True


@asynccontextmanager
async def prometheus(directory: Path, *urls: str) -> AsyncIterator[Prometheus]:
    """Run Prometheus with our rules on some processes of this machine."""
    text = DURATION.sub(lambda it: f"{int(it[1]) * SECONDS[it[2]]}s", RULES.read_text())
    (directory / "alerts.yml").write_text(text)
    config = yaml.safe_load((RULES.parent / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    targets = [url.removeprefix("http://") for url in urls]
    config["scrape_configs"][0]["static_configs"] = [{"targets": targets}]
    (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    with (directory / "prometheus.log").open("wb") as log:
        running = await asyncio.create_subprocess_exec(
            "prometheus",
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            f"--web.listen-address=127.0.0.1:{port}",
            cwd=directory,
            stderr=log,
        )
    try:
        started = Prometheus(f"http://127.0.0.1:{port}")
        await until(started.answers, what="Prometheus")
        yield started
    finally:
        running.kill()
        await running.wait()


async def ask_for_a_post(
    site: Site, project: str, *, number: int = 0, now: datetime | None = None
) -> Job:
    """Ask for a post, which is due at once."""
    job, _ = await site.container.jobs.add(
        NewJob(
            project_id=project,
            platform="tiktok",
            asset_id=f"asset_{number}",
            asset_url=f"{site.tiktok.url}/_sandbox/video.mp4",
            post=Post(privacy_level=PrivacyLevel.SELF_ONLY, title="Hello"),
            scheduled_for=None,
            max_attempts=1000,
        ),
        now=now or datetime.now(UTC),
    )
    return job


async def let_things_go_wrong(site: Site, receivers: Mapping[str, str]) -> None:
    """Script the faults, and ask for what meets them."""
    now = datetime.now(UTC)
    for project in {project for project, _, _ in FAULTS} | {"late"}:
        ends = timedelta(seconds=1) if project in UNREFRESHED else timedelta(hours=2)
        await site.connect(project, lives=ends)
    for project, call, fault in FAULTS:
        site.script(call, times=None, match={"openId": project}, fault=fault)
    for project, url in receivers.items():
        await listen_at(site, project, url)
    await ask_for_a_post(site, "late", now=now - LONG_AGO)
    dead = abandoned(
        project_id="banned", next_attempt_at=now, claimed_at=now - LONG_AGO
    )
    await store_row(site.container.database, dead)
    strange = job_row(project_id="unreadable", next_attempt_at=now, post={})
    async with site.container.database.write() as connection:
        await connection.execute(insert(schedule_jobs).values(strange))
    for project in ("unconfirmed", "troubled", "removed", *UNREFRESHED):
        await ask_for_a_post(site, project)
    for number in range(8):
        await ask_for_a_post(site, "banned", number=number)


async def listen_at(site: Site, project: str, url: str) -> None:
    """Tell a project's events to an address."""
    await site.container.webhooks.put(
        project, url=url, secret=SECRET, fresh=SECRET, now=datetime.now(UTC)
    )


async def test_every_alert_fires(postgres_site: Site, tmp_path: Path) -> None:
    """Late, failed, unconfirmed; workers, TikTok, tokens, frontends, database."""
    site = postgres_site
    folder = tmp_path / "prometheus"
    folder.mkdir()
    port = make_url(url := site.programs.env["DATABASE_URL"]).port
    assert port is not None
    async with receiving() as failing, receiving() as gone:
        failing.answers += [500] * 1000
        gone.answers += [410] * 10
        server, posting = await site.serve(
            TIKTOK_INIT_PER_MINUTE="10000", WEBHOOK_RETRY_SECONDS=",".join(["1"] * 50)
        )
        async with relaying(port) as relay:
            through = url.replace(f":{port}/", f":{relay.port}/")
            _, idle = await site.serve(RUNNER="cron", DATABASE_URL=through)
            async with prometheus(folder, posting, idle) as watching:
                await watching.scrapes(posting, idle)
                addresses = {"banned": failing.url, "unconfirmed": gone.url}
                await let_things_go_wrong(site, addresses)
                await watching.fires(*every_alert() - LATER)
                await ask_for_a_post(site, "capped")
                await watching.fires("AppRests")
                await server.stop()
                long_ago = datetime.now(UTC) - LONG_AGO
                await ask_for_a_post(site, "late", number=1, now=long_ago)
                await watching.fires("InstanceDown", "DueJobsWait", "NothingIsClaimed")
                relay.hang()
                await watching.fires("DatabaseDown")
                await site.programs.close()
                await watching.fires(*every_alert())
