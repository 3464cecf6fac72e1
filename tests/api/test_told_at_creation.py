"""The answer to a new job tells what would keep it from being posted."""

import asyncio
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from sqlalchemy import event, select, text

from app.domain.accounts.account import RemovalReason
from app.domain.events import puts_at_risk
from app.domain.jobs.job import JobStatus
from app.domain.jobs.readiness import UNREACHABLE, Readiness
from app.store.accounts.account_store import AccountStore
from app.store.jobs.requests.job_store import _new_job
from app.store.jobs.tables import schedule_jobs
from tests.api.serving import Api, job_body
from tests.support.accounts import NAME, VAULT, new_account, new_grant
from tests.support.factories import NOW, RETRYING, SCHEDULED, new_job, store_job

HOUR: Final = timedelta(hours=1)
AT: Final = "2026-04-09T15:00:00.000Z"
SIGNED: Final = (
    "https://cdn.example.com/v.mp4?X-Amz-Date=20260409T110000Z&X-Amz-Expires="
)
TOO_SHORT: Final = f"{SIGNED}3600"  # until 12:00
LONG: Final = f"{SIGNED}86400"


async def connect(api: Api, **changes: Any) -> None:  # noqa: ANN401
    """Let somebody be connected to the project."""
    await AccountStore(api.database, VAULT).put(new_account(**changes), now=NOW)


async def lose(api: Api, reason: str) -> None:
    """Let the account's grant be lost for a reason."""
    accounts = AccountStore(api.database, VAULT)
    version = (await accounts.get(*NAME)).grant_version
    await accounts.mark_reconnect_required(
        *NAME, reason=reason, grant_version=version, now=NOW
    )


async def told(api: Api, **changes: object) -> tuple[str | None, list[str]]:
    """Make a job; return its notice's code and the codes of what was found.

    What the answer says is what the row says.
    """
    job = await api.job(**changes)
    stored = (await api.client.get(f"/v1/jobs/{job['id']}")).json()
    assert stored == job
    found = job["readiness"]
    assert found is None or (found["checkedAt"], found["ok"]) == (
        job["createdAt"],
        False,
    )
    problems = found["problems"] if found else []
    return job["noticeCode"], [problem["code"] for problem in problems]


@pytest.mark.parametrize("at", [None, AT])
async def test_nothing_is_told_of_what_is_well(api: Api, at: str | None) -> None:
    """A living grant and links that last raise no alarm."""
    await connect(api)
    code, problems = await told(api, assetUrl=LONG, scheduledFor=at)
    assert (code, problems) == ("goes_live_soon" if at is None else None, [])


@pytest.mark.parametrize("at", [None, AT])
@pytest.mark.parametrize(
    "reason", ["invalid_grant", "access_token_invalid", *RemovalReason]
)
async def test_a_lost_grant_is_told(api: Api, reason: str, at: str | None) -> None:
    """A lost grant is told as a notice, too; reconnecting clears it."""
    await connect(api)
    await lose(api, reason)
    assert await told(api, scheduledFor=at) == (
        "reconnect_required",
        ["reconnect_required"],
    )
    await connect(api, grant=new_grant("two"))
    (job,) = (await api.client.get("/v1/jobs?projectId=proj_1")).json()["items"]
    assert job["readiness"] is None
    assert job["noticeCode"] != "reconnect_required"


async def test_nobody_is_told_to_reconnect_what_is_gone(api: Api) -> None:
    """A deleted or banned account cannot be connected again."""
    await connect(api)
    await lose(api, "account_banned")
    job = await api.job()
    assert job["notice"] == "TikTok has banned this account."


async def test_a_missing_scope_is_no_lost_grant(api: Api) -> None:
    """The account may still do what it was allowed to."""
    await connect(api)
    await lose(api, "scope_not_authorized")
    assert await told(api) == ("goes_live_soon", [])


@pytest.mark.parametrize(("days", "ends"), [(179, False), (181, True)])
async def test_a_grant_that_ends_before_the_time(
    api: Api, days: int, ends: bool
) -> None:
    """A refresh token that ends before the job's time is told at creation."""
    await connect(api)
    at = (NOW + timedelta(days=days)).isoformat()
    assert await told(api, scheduledFor=at) == (None, ["grant_ends"] if ends else [])


@pytest.mark.parametrize("at", [None, AT])
async def test_a_link_that_ends_before_the_time(api: Api, at: str | None) -> None:
    """A link whose signature ends before the job's time is told at creation."""
    await connect(api)
    assert await told(api, assetUrl=TOO_SHORT, scheduledFor=at) == (
        "asset_url_expires",
        ["asset_url_expires"],
    )


async def test_the_photo_whose_link_ends_is_named(api: Api) -> None:
    """A pointer names the photo whose link ends."""
    await connect(api)
    job = await api.job(
        assetUrl=...,
        assetUrls=["https://cdn.example.com/1.jpg", TOO_SHORT],
        post={"mode": "direct", "mediaType": "photo", "privacyLevel": "SELF_ONLY"},
        scheduledFor=AT,
    )
    (problem,) = job["readiness"]["problems"]
    assert problem["pointer"] == "/assetUrls/1"


async def test_all_that_is_wrong_is_told(api: Api) -> None:
    """The account first, the link beside it."""
    assert await told(api, assetUrl=TOO_SHORT) == (
        "account_not_connected",
        ["account_not_connected", "asset_url_expires"],
    )


async def test_each_of_many_at_once_is_told_its_own(api: Api) -> None:
    """Requests that come together share one statement and are not mixed up."""
    await connect(api)
    urls = [TOO_SHORT if n % 3 == 0 else LONG for n in range(30)]
    answers = await asyncio.gather(
        *(
            api.post_job(
                assetId=f"a_{n}",
                assetUrl=url,
                scheduledFor=AT,
                projectId="proj_1" if n % 2 else "proj_2",
            )
            for n, url in enumerate(urls)
        )
    )
    for n, answer in enumerate(answers):
        found = answer.json()["readiness"] or {"problems": []}
        codes = [problem["code"] for problem in found["problems"]]
        expected = [] if n % 2 else ["account_not_connected"]
        assert codes == expected + ["asset_url_expires"] * (n % 3 == 0)


async def test_it_is_written_by_the_insert_itself(api: Api) -> None:
    """No second statement: between the two, the row would say something untrue."""
    writes: list[str] = []

    def note(*call: Any) -> None:  # noqa: ANN401  SQLAlchemy's own signature
        if "schedule_jobs" in call[2] and not call[2].lstrip().startswith("SELECT"):
            writes.append(call[2])

    engine = api.app.state.services.jobs.store._database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        await api.job(assetUrl=TOO_SHORT)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert len(writes) == 1


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        ({"assetUrl": LONG}, ["account_changed"]),
        ({"assetUrl": f"{SIGNED}60"}, ["account_changed", "asset_url_expires"]),
        ({"scheduledFor": "2026-04-09T11:30:00Z"}, ["account_changed"]),
        ({"post": {"title": "other"}}, ["account_changed", "asset_url_expires"]),
    ],
)
async def test_an_edited_job_is_told_of_anew(
    api: Api, change: dict[str, Any], codes: list[str]
) -> None:
    """A PATCH mends what it mends, and forgets nothing else."""
    await connect(api)
    job = await api.job(assetUrl=TOO_SHORT, scheduledFor=AT)
    await connect(api, open_id="open_2")
    answer = await api.client.patch(f"/v1/jobs/{job['id']}", json=change)
    problems = answer.json()["readiness"]["problems"]
    assert [problem["code"] for problem in problems] == codes
    assert answer.json()["noticeCode"] == "account_changed"


async def test_a_body_is_checked_without_storing_it(api: Api) -> None:
    """``validate`` says the same of a link."""
    answer = await api.client.post(
        "/v1/jobs/validate", json=job_body(assetUrl=TOO_SHORT, scheduledFor=AT)
    )
    found = {each["code"]: each["pointer"] for each in answer.json()["problems"]}
    assert found["asset_url_expires"] == "/assetUrl"
    assert answer.json()["ok"] is False


async def test_an_older_process_can_read_it(api: Api) -> None:
    """The column holds what it always held, and a word more."""
    job = await api.job()
    async with api.database.read() as connection:
        (row,) = await connection.execute(select(schedule_jobs.c.readiness))
    assert datetime.fromisoformat(row.readiness["checked_at"]) == NOW
    assert set(row.readiness["problems"][0]) == {"code", "message"}
    assert job["readiness"]["problems"][0]["pointer"] is None


async def test_the_account_is_found_by_its_key(api: Api) -> None:
    """However many accounts there are: one probe, no pass over the table."""
    if api.database.is_sqlite:
        pytest.skip("SQLite joins by the primary key or not at all")
    many = (
        "INSERT INTO accounts (project_id, platform, open_id, scopes, status,"
        " access_token, refresh_token, access_token_expires_at,"
        " refresh_token_expires_at, grant_version, connected_at, updated_at)"
        " SELECT 'p_' || n, 'tiktok', 'o_' || n, '', 'active', '', '', now(), now(),"
        " 1, now(), now() FROM generate_series(1, 20000) AS n"
    )
    async with api.database.write() as connection:
        await connection.execute(text(many))
        await connection.execute(text("ANALYZE accounts"))
    for mode in ("force_generic_plan", "force_custom_plan"):
        read = await _read_by_an_insert(api, mode)
        assert read < 100, mode


async def _read_by_an_insert(api: Api, mode: str) -> int:
    """Return how many rows of accounts an insert looks at."""
    store = api.app.state.services.jobs.store
    writer = store._inserts
    counts = "SELECT seq_tup_read FROM pg_stat_xact_user_tables WHERE relname ="
    job = _new_job(new_job(scheduled_for=NOW + HOUR), NOW, ())
    async with api.database.write() as connection:
        await connection.execute(text(f"SET LOCAL plan_cache_mode = {mode}"))
        await writer._insert.on(connection, writer._bind([job]))
        read: int = (
            await connection.execute(text(f"{counts} 'accounts'"))
        ).scalar_one()
    return read


def test_what_was_told_in_an_answer_was_told_by_no_event() -> None:
    """A look at its time still tells the frontend's webhook of it."""
    found = Readiness(NOW, (UNREACHABLE,))
    assert puts_at_risk(found, Readiness(NOW, (UNREACHABLE,), is_first=True))
    assert not puts_at_risk(found, found)


@pytest.mark.parametrize("status", [SCHEDULED, RETRYING])
async def test_what_waits_is_told_of_another_person_and_that_they_are_back(
    api: Api, status: JobStatus
) -> None:
    """Between two attempts as well: it would go on by itself, and go nowhere."""
    await connect(api)
    at = NOW + HOUR
    job = await store_job(api.database, status, open_id="open_1", next_attempt_at=at)
    url = f"/v1/jobs/{job.id}"
    await connect(api, open_id="open_2")
    assert (await api.client.get(url)).json()["noticeCode"] == "account_changed"
    await connect(api)
    back = (await api.client.get(url)).json()
    assert back["noticeCode"] != "account_changed"
    assert back["readiness"] is None
    await AccountStore(api.database, VAULT).delete(*NAME, now=NOW)
    assert (await api.client.get(url)).json()["noticeCode"] == "account_not_connected"
