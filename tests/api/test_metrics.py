"""Figures for Prometheus."""

from datetime import timedelta

from sqlalchemy import update

from app.domain.jobs.job import JobStatus
from app.store.accounts.tables import accounts
from tests.api.serving import Api, serving
from tests.api.test_tiktok_webhook import APP, event, told
from tests.support.factories import (
    FAILED,
    NOW,
    job_row,
    store_job,
    store_rows,
    unconfirmed,
)

ACCOUNT = {
    "openId": "open_1",
    "accessToken": "act.one",
    "refreshToken": "rft.one",
    "expiresIn": 7200,
    "refreshExpiresIn": 15_552_000,
    "scope": "video.publish",
}


async def test_metrics_tell_what_is_due_and_for_how_long(api: Api) -> None:
    """The first question of whoever runs the service: are posts late?"""
    due_at = NOW - timedelta(seconds=90)
    await store_job(api.database, JobStatus.SCHEDULED, next_attempt_at=due_at)
    answer = await api.stranger().get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "scheduler_jobs_due 1.0" in answer.text.splitlines()
    assert "scheduler_oldest_due_seconds 90.0" in answer.text.splitlines()


async def test_metrics_are_there_before_anything_happened(edge: Api) -> None:
    """A dashboard shows zeros, not gaps."""
    lines = (await edge.stranger().get("/metrics")).text.splitlines()
    assert "scheduler_jobs_due 0.0" in lines
    assert "scheduler_claims_total 0.0" in lines
    assert "scheduler_posted_lateness_seconds_count 0.0" in lines


async def test_requests_that_repeat_one_are_counted(api: Api) -> None:
    """Prevented duplicates are counted: double clicks and repeated requests."""
    for _ in range(2):
        await api.post_job()
        await api.post_job(scheduledFor=None, assetId="now")
    lines = (await api.stranger().get("/metrics")).text.splitlines()
    name = "scheduler_duplicates_prevented_total"
    assert f'{name}{{mechanism="repeated_request"}} 1.0' in lines
    assert f'{name}{{mechanism="double_click"}} 1.0' in lines


async def test_what_waits_for_a_person_is_counted(api: Api) -> None:
    """Jobs whose fate is unknown, and accounts that were lost."""
    await store_rows(api.database, [unconfirmed(), job_row(FAILED)])
    put = await api.client.put("/v1/projects/proj_1/accounts/tiktok", json=ACCOUNT)
    assert put.status_code == 201
    lost = update(accounts).values(status="reconnect_required", reconnect_reason="x")
    async with api.database.write() as connection:
        await connection.execute(lost)
    lines = (await api.stranger().get("/metrics")).text.splitlines()
    assert "scheduler_jobs_unconfirmed 1.0" in lines
    assert "scheduler_accounts_reconnect_required 1.0" in lines
    assert "scheduler_database_up 1.0" in lines


async def test_no_metric_names_a_project_or_an_account(api: Api) -> None:
    """Figures are for whoever runs the service; and labels without end cost memory."""
    await api.post_job(projectId="proj_hush", assetId="asset_hush")
    assert "hush" not in (await api.stranger().get("/metrics")).text


async def test_what_tiktok_delivers_is_counted(edge: Api) -> None:
    """TikTok's events are counted by kind and receipt, repeats too."""
    async with serving(str(edge.database.url), **APP) as api:
        for body in (event(), event(), event(event="made.up")):
            assert (await told(api, body))[0] == 200
        assert (await told(api, event(), "t=1,s=00"))[0] == 401
        lines = (await api.stranger().get("/metrics")).text.splitlines()
    name = "scheduler_tiktok_webhooks_total"
    complete = 'event="post.publish.complete",receipt="stored"'
    assert f"{name}{{{complete}}} 2.0" in lines
    assert f'{name}{{event="other",receipt="stored"}} 1.0' in lines
    assert f'{name}{{event="other",receipt="bad_signature"}} 1.0' in lines
    repeats = 'scheduler_duplicates_prevented_total{mechanism="repeated_webhook"}'
    assert f"{repeats} 1.0" in lines
