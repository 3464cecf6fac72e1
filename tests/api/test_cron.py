"""GET and POST /cron/tick: a secret of its own, and an honest report."""

import pytest

from tests.api.serving import CRON_SECRET, Api, serving
from tests.support.factories import FAILED, store_job

GOOD = {"Authorization": f"Bearer {CRON_SECRET}"}


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_tick_reports_what_it_did(api: Api, method: str) -> None:
    """With the secret both methods run a tick and answer the same report."""
    await store_job(api.database, FAILED)
    async with api.stranger(**GOOD) as cron:
        response = await cron.request(method, "/cron/tick")

    assert response.status_code == 200
    report = response.json()
    assert isinstance(report.pop("durationMs"), int)
    assert report == {
        "claimed": 0,
        "posted": 0,
        "retrying": 0,
        "failed": 0,
        "inFlight": 0,
        "reclaimed": 0,
    }


async def test_a_tick_runs_what_is_due(api: Api) -> None:
    """A due job is claimed and run: without an account it fails and says why."""
    job = await api.job()
    async with api.stranger(**GOOD) as cron:
        report = (await cron.post("/cron/tick")).json()

    assert (report["claimed"], report["failed"]) == (1, 1)
    over = (await api.client.get(f"/v1/jobs/{job['id']}")).json()
    assert (over["status"], over["failureReason"]) == ("failed", "auth")
    assert "Connect" in over["lastError"]["userMessage"]


async def test_nobody_ticks_without_the_secret(edge: Api) -> None:
    """Anything but the secret as a bearer token is a 401, and nothing is run."""
    job = await edge.job()
    api_key = edge.client.headers["authorization"]
    for value in (
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {CRON_SECRET}x",
        f"Bearer {CRON_SECRET[:-1]}",
        f"Basic {CRON_SECRET}",
        CRON_SECRET,
        "Bearer s\xe9cret",
        api_key,
    ):
        headers = {} if value is None else {b"Authorization": value.encode("latin-1")}
        for method in ("GET", "POST"):
            async with edge.stranger() as stranger:
                response = await stranger.request(method, "/cron/tick", headers=headers)
            assert response.status_code == 401, value
            assert response.headers["www-authenticate"] == "Bearer"
            assert CRON_SECRET not in response.text
    assert (await edge.client.get(f"/v1/jobs/{job['id']}")).json() == job


@pytest.mark.parametrize("secret", [None, ""])
async def test_without_a_secret_the_trigger_is_shut(
    sqlite_url: str, secret: str | None
) -> None:
    """CRON_SECRET unset: 503 for everybody, with and without a token."""
    async with serving(sqlite_url, cron_secret=secret or None) as api:
        for headers in ({}, GOOD, {"Authorization": "Bearer "}):
            async with api.stranger() as stranger:
                response = await stranger.get("/cron/tick", headers=headers)
            assert response.status_code == 503
            assert response.json()["code"] == "cron_disabled"


async def test_the_secret_is_not_an_api_key(edge: Api) -> None:
    """The cron secret reads no jobs."""
    async with edge.stranger(**GOOD) as cron:
        assert (await cron.get("/v1/jobs")).status_code == 401
