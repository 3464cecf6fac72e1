"""RETENTION_DAYS as its users meet it."""

from datetime import timedelta

from app.domain.jobs.idempotency_keys import iso_millis
from tests.api.serving import CRON_SECRET, job_body, serving
from tests.store.aged import LONG_AGO, over
from tests.support.factories import NOW, store_row


async def test_a_pruned_job_is_gone_and_cannot_come_back(database_url: str) -> None:
    """404 for its id; 409 for its request, which says what to do instead."""
    async with serving(database_url, retention_days=30) as api:
        job = await store_row(api.database, over())
        assert (await api.client.get(f"/v1/jobs/{job.id}")).status_code == 200
        tick = {"Authorization": f"Bearer {CRON_SECRET}"}
        assert (await api.client.post("/cron/tick", headers=tick)).status_code == 200
        assert (await api.client.get(f"/v1/jobs/{job.id}")).status_code == 404
        again = job_body(assetId=job.asset_id, scheduledFor=iso_millis(LONG_AGO))
        refused = await api.client.post("/v1/jobs", json=again)
        assert refused.status_code == 409
        assert refused.json()["code"] == "too_long_ago"
        now = job_body(assetId=job.asset_id, scheduledFor=None)
        assert (await api.client.post("/v1/jobs", json=now)).status_code == 201


async def test_a_past_time_within_the_retention_is_due_at_once(
    database_url: str,
) -> None:
    """A past time within the retention is due at once."""
    async with serving(database_url, retention_days=30) as api:
        tick = {"Authorization": f"Bearer {CRON_SECRET}"}
        await api.client.post("/cron/tick", headers=tick)
        past = iso_millis(NOW - timedelta(days=29))
        assert (await api.post_job(scheduledFor=past)).status_code == 201
