"""A scenario: one post's life, and what has to come of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from app.sandbox.demo.service import Service


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What is asked for, what goes wrong, and how it must end."""

    name: str
    status: str  # the end
    reason: str | None = None  # the failureReason with it
    inits: int = 1  # how many TikTok may have taken
    published: int = 1
    attempts: int = 0
    faults: tuple[Mapping[str, Any], ...] = ()
    post: Mapping[str, Any] = field(default_factory=dict)
    after_seconds: float | None = None  # None: Post Now
    clicks: int = 1
    kills_worker: bool = False
    assets: tuple[str, ...] = ("video.mp4",)  # several are photos
    transfer: str = "pull"
    consents: bool = False  # the person connects the account on TikTok's own page
    reconnects_as: str | None = None  # who is connected by the time of the post
    publish_by_seconds: float | None = None  # its last moment, from now on
    notice: str | None = None  # the code of what its owner is told at the end

    @property
    def project(self) -> str:
        """Return the project, and TikTok account, of its own."""
        return self.name.lower().replace(" ", "_").replace(",", "")


@dataclass(slots=True)
class Life:
    """A scenario on its way."""

    scenario: Scenario
    job_id: str = ""
    job: Mapping[str, Any] = field(default_factory=dict)
    trail: list[str] = field(default_factory=list)
    inits: int = 0
    published: int = 0
    rows: set[str] = field(default_factory=set)
    early: bool = False

    @property
    def is_under_way(self) -> bool:
        """Tell whether TikTok has the post, or some of its bytes."""
        if self.scenario.transfer == "push":
            return bool(self.job.get("uploadedBytes"))
        return bool(self.job.get("publishId"))

    @property
    def over(self) -> bool:
        """Tell whether the job has ended."""
        return self.job.get("status") in {"posted", "failed"}

    @property
    def as_it_should(self) -> bool:
        """Tell whether everything came as the scenario says."""
        expected = self.scenario
        return (
            self.over
            and self.job["status"] == expected.status
            and self.job["failureReason"] == expected.reason
            and self.job["attempts"] == expected.attempts
            and self.inits == expected.inits
            and self.published == expected.published
            and expected.notice in {None, self.job["noticeCode"]}
            and len(self.rows) == 1
            and not self.early
        )

    def note(self, job: Mapping[str, Any]) -> None:
        """Take down how the job stands."""
        self.job = job
        if job["status"] == "processing" and (count := job["uploadedBytes"]):
            self._note_upload(count)
        elif not self.trail or self.trail[-1] != job["status"]:
            self.trail.append(job["status"])

    def _note_upload(self, count: int) -> None:
        """Show how far an upload is, in the place of what was shown before."""
        told = f"uploaded {count / 1_000_000:.1f} MB"
        if self.trail and self.trail[-1].startswith("uploaded"):
            self.trail.pop()
        self.trail.append(told)


async def begin(life: Life, service: Service, tiktok: httpx.AsyncClient) -> None:
    """Connect the account, script the faults, and ask for the post."""
    scenario = life.scenario
    account = await _made(tiktok, scenario.project)
    if scenario.consents:
        await _consent(scenario, service, tiktok)
    else:
        await _connect(scenario, service, account)
    for fault in scenario.faults:
        match = {**fault.get("match", {}), "openId": scenario.project}
        body = {**fault, "match": match}
        (await tiktok.post("/_sandbox/faults", json=body)).raise_for_status()
    for _ in range(scenario.clicks):
        answer = await service.post("/v1/jobs", _request(scenario, tiktok))
        answer.raise_for_status()
        life.rows.add(answer.json()["id"])
        life.note(answer.json())
    life.job_id = life.job["id"]
    if scenario.reconnects_as is not None:
        other = await _made(tiktok, scenario.reconnects_as)
        await _connect(scenario, service, other)


async def look(life: Life, service: Service, tiktok: httpx.AsyncClient) -> None:
    """See how the job stands, and what TikTok has of it."""
    calls = []
    for person in filter(None, (life.scenario.project, life.scenario.reconnects_as)):
        found = await tiktok.get("/_sandbox/posts", params={"openId": person})
        calls += found.json()["items"]
    life.inits = len(calls)
    life.published = sum(post["publishedAt"] is not None for post in calls)
    life.note((await service.api.get(f"/v1/jobs/{life.job_id}")).json())
    due = datetime.fromisoformat(life.job["scheduledFor"]).timestamp()
    life.early = life.early or any(post["takenAt"] < due for post in calls)


async def _made(tiktok: httpx.AsyncClient, open_id: str) -> Mapping[str, Any]:
    """Let TikTok know a person, and return their tokens."""
    made = await tiktok.post("/_sandbox/accounts", json={"openId": open_id})
    account: Mapping[str, Any] = made.raise_for_status().json()
    return account


async def _connect(
    scenario: Scenario, service: Service, account: Mapping[str, Any]
) -> None:
    names = ("openId", "accessToken", "refreshToken", "expiresIn", "refreshExpiresIn")
    body = {name: account[name] for name in names}
    path = f"/v1/projects/{scenario.project}/accounts/tiktok"
    answer = await service.api.put(
        path, json={**body, "scope": "user.info.basic,video.publish,video.upload"}
    )
    answer.raise_for_status()


async def _consent(
    scenario: Scenario, service: Service, tiktok: httpx.AsyncClient
) -> None:
    """Go where a person's browser goes: to TikTok, and with a code back."""
    path = f"/v1/projects/{scenario.project}/accounts/tiktok/connect"
    begun = (await service.post(path, {})).raise_for_status().json()
    page = httpx.URL(begun["authorizeUrl"])
    # Who is signed in at TikTok, the simulator has to be told.
    back = await tiktok.get(page.copy_add_param("open_id", scenario.project))
    (await service.api.get(back.headers["location"])).raise_for_status()


def _request(scenario: Scenario, tiktok: httpx.AsyncClient) -> dict[str, Any]:
    request: dict[str, Any] = {
        "projectId": scenario.project,
        "assetId": "asset_1",
        "transfer": scenario.transfer,
        **_addresses(scenario, tiktok),
        "post": {**_chosen(scenario), **scenario.post},
    }
    times = {
        "scheduledFor": scenario.after_seconds,
        "publishBy": scenario.publish_by_seconds,
    }
    for name, seconds in times.items():
        if seconds is not None:
            at = datetime.now(UTC) + timedelta(seconds=seconds)
            request[name] = at.isoformat(timespec="milliseconds")
    return request


def _chosen(scenario: Scenario) -> dict[str, Any]:
    """Choose for a direct post; a video draft carries no choices."""
    if scenario.post.get("mode") == "inbox":
        return {}
    return {"title": scenario.name, "privacyLevel": "PUBLIC_TO_EVERYONE"}


def _addresses(scenario: Scenario, tiktok: httpx.AsyncClient) -> dict[str, Any]:
    urls = [str(tiktok.base_url.join(f"/_sandbox/{each}")) for each in scenario.assets]
    return {"assetUrl": urls[0]} if len(urls) == 1 else {"assetUrls": urls}
