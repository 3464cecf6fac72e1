"""The result of a readiness check, as callers see it."""

from datetime import timedelta

from app.domain.jobs.readiness import UNREACHABLE, Readiness
from app.store.accounts.account_store import AccountStore
from app.store.jobs.rows import readiness_to_json
from tests.api.serving import Api
from tests.support.accounts import VAULT, new_account
from tests.support.factories import NOW, store_job


async def test_a_job_nobody_looked_at_says_so(api: Api) -> None:
    """There is no verdict yet, which is not the same as a good one."""
    await AccountStore(api.database, VAULT).put(new_account(), now=NOW)
    job = await api.job(scheduledFor="2026-05-09T12:00:00Z")
    assert job["readiness"] is None


async def test_what_was_found_stands_on_the_job(api: Api) -> None:
    """When, whether all is well, and each problem for programs and for people."""
    for problems in ((), (UNREACHABLE,)):
        found = Readiness(NOW, problems)
        job = await store_job(
            api.database,
            scheduled_for=NOW + timedelta(hours=len(problems)),
            readiness=readiness_to_json(found),
        )
        shown = (await api.client.get(f"/v1/jobs/{job.id}")).json()
        assert shown["readiness"] == {
            "checkedAt": "2026-04-09T12:00:00.000Z",
            "ok": not problems,
            "problems": [
                {"code": each.code, "message": each.message, "pointer": None}
                for each in problems
            ],
        }
