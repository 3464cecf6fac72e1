"""What operators ask at a terminal: answers in one command, exit codes for scripts."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from app.domain.jobs.job import FailureReason, JobStatus
from app.machine.descriptors import hard_limit, share_out
from app.sandbox.recording import Call
from tests.system.programs import Programs
from tests.system.site import Site

EARLIER = datetime.now(UTC) - timedelta(minutes=30)
LATER = datetime.now(UTC) + timedelta(days=30)


async def test_jobs_are_listed_and_shown_as_the_api_has_them(site: Site) -> None:
    """`--json` has the API's names; filters are the API's; a pipe gets tabs."""
    job = await site.post(scheduled_for=LATER)
    other = await site.post("proj_2", scheduled_for=LATER)
    listed = json.loads((await site.programs.run("jobs", "list", "--json")).out)
    assert [each["id"] for each in listed["items"]] == [other.id, job.id]
    one = await site.programs.run("jobs", "list", "--project", "proj_1")
    assert one.out.split("\t")[:3] == [job.id, "proj_1", "scheduled"]
    assert one.out.count("\n") == 1
    none = await site.programs.run("jobs", "list", "--status", "posted")
    assert (none.code, none.out) == (0, "")
    shown = json.loads((await site.programs.run("jobs", "show", job.id, "--json")).out)
    assert shown == listed["items"][1]
    plain = await site.programs.run("jobs", "show", job.id)
    assert "proj_1" in plain.out


async def test_a_job_that_is_not_there_is_one_line(programs: Programs) -> None:
    """Exit 1, and nothing on standard output."""
    for command in ("show", "retry"):
        ended = await programs.run("jobs", command, "no-such-job")
        assert (ended.code, ended.out) == (1, "")
        assert ended.err.count("\n") == 1


async def test_a_filter_that_cannot_work_is_refused(programs: Programs) -> None:
    """As the API refuses it; a typing error does not show everything."""
    ended = await programs.run("jobs", "list", "--status", "pending")
    assert ended.code == 2
    assert "status" in ended.err


async def test_a_failed_job_is_retried(sqlite_site: Site) -> None:
    """`jobs retry` does what the API's retry does."""
    site = sqlite_site
    site.script(
        "init", fault={"kind": "error", "code": "spam_risk_user_banned_from_posting"}
    )
    job = await site.post()
    await site.programs.run("tick")
    assert (await site.container.jobs.get(job.id)).status is JobStatus.FAILED
    ended = await site.programs.run("jobs", "retry", job.id, "--json")
    assert ended.code == 0
    assert json.loads(ended.out)["status"] == "scheduled"
    again = await site.programs.run("jobs", "retry", job.id)
    assert again.code == 1


async def test_why_tells_a_jobs_story(sqlite_site: Site) -> None:
    """Each thing that happened in a sentence, and how the job stands now."""
    site = sqlite_site
    fault = {"kind": "error", "code": "spam_risk_user_banned_from_posting"}
    site.script("init", fault=fault)
    job = await site.post()
    await site.programs.run("tick")
    told = await site.programs.run("jobs", "why", job.id)
    assert told.code == 0
    *story, now = told.out.splitlines()
    assert len(story) >= 2
    assert now.startswith("Now: failed")
    ended = await site.programs.run("jobs", "why", job.id, "--json")
    items = json.loads(ended.out)["items"]
    assert [line.split("  ", 1)[1] for line in story] == [
        each["text"] for each in items
    ]


async def test_three_posts_are_explained_in_a_command_each(sqlite_site: Site) -> None:
    """Late, failed, unconfirmed: what happened, and what a person can do."""
    site = sqlite_site
    late = await site.post("proj_late", scheduled_for=EARLIER)
    held = await site.programs.run("hold", "--reason", "the recall of May")
    assert held.code == 0
    await site.programs.run("tick")
    await site.programs.run("release")
    failed = await site.post("proj_failed")
    unknown = await site.post("proj_unknown")
    banned = {"kind": "error", "code": "spam_risk_user_banned_from_posting"}
    site.script("init", match={"openId": "proj_failed"}, fault=banned)
    lost = {"kind": "reset", "taken": True}
    site.script("init", match={"openId": "proj_unknown"}, fault=lost)
    await site.programs.run("tick")
    told = {
        job.project_id: (await site.programs.run("jobs", "why", job.id)).out
        for job in (late, failed, unknown)
    }
    assert "the recall of May" in told["proj_late"]
    assert "after its time" in told["proj_late"]
    assert "Now: posted" in told["proj_late"]
    assert "does not allow this account to post" in told["proj_failed"]
    assert "Open TikTok's app to see why" in told["proj_failed"]
    assert "not known whether TikTok accepted" in told["proj_unknown"]
    assert "accept the risk" in told["proj_unknown"]


async def test_a_job_is_cancelled_for_good(sqlite_site: Site) -> None:
    """`jobs cancel` ends it, twice as well as once; nothing is sent."""
    site = sqlite_site
    job = await site.post()
    for _ in range(2):
        ended = await site.programs.run("jobs", "cancel", job.id, "--json")
        assert json.loads(ended.out)["failureReason"] == "cancelled"
    await site.programs.run("tick")
    assert site.calls(Call.INIT) == []


async def test_a_held_project_waits_until_it_is_released(sqlite_site: Site) -> None:
    """`hold` keeps due jobs back at no attempt, `release` lets them go."""
    site = sqlite_site
    job = await site.post()
    held = await site.programs.run("hold", "--project", "proj_1", "--reason", "audit")
    assert held.code == 0
    await site.programs.run("tick")
    waiting = await site.container.jobs.get(job.id)
    assert (waiting.status, waiting.attempts) == (JobStatus.SCHEDULED, 0)
    told = await site.programs.run("status", "--json")
    status = json.loads(told.out)
    assert status["holds"] == [
        {"projectId": "proj_1", "reason": "audit", "until": None}
    ]
    assert told.code == 1
    [look] = status["toLookAt"]
    assert "proj_1" in look
    assert "audit" in look
    assert (await site.programs.run("release", "--project", "proj_1")).code == 0
    await site.programs.run("tick")
    assert (await site.ended(job)).status is JobStatus.POSTED


async def test_no_callers_text_steers_an_operators_terminal(sqlite_site: Site) -> None:
    """A hold's reason may hold anything; what a terminal acts on is left out."""
    site = sqlite_site
    job = await site.post()
    await site.programs.run("hold", "--reason", "a\x1b[2J\u202eb")
    await site.programs.run("tick")
    for command in (("status",), ("jobs", "why", job.id), ("jobs", "list")):
        told = await site.programs.run(*command)
        assert not {"\x1b", "\u202e"} & set(told.out), command
    assert "a [2J b" in (await site.programs.run("status")).out


@pytest.mark.parametrize("project", ["", "|", "a|b", "\udcff"])
async def test_no_name_of_a_project_stands_for_all_of_them(
    programs: Programs, project: str
) -> None:
    """`--project "$EMPTY"` holds and releases nothing: it is refused in one line."""
    assert (await programs.run("hold", "--reason", "of all")).code == 0
    for command in (("release",), ("hold", "--reason", "of one")):
        ended = await programs.run(*command, "--project", project)
        assert (ended.code, ended.out) == (1, "")
        assert ended.err.count("\n") == 1
    status = json.loads((await programs.run("status", "--json")).out)
    assert [each["reason"] for each in status["holds"]] == ["of all"]


async def test_status_tells_whether_it_is_posting(site: Site) -> None:
    """Exit 0 if all is well, 1 with a sentence for each thing to look at."""
    ended = await site.programs.run("status")
    assert ended.code == 1
    assert "No runner was seen" in ended.out
    await site.programs.run("tick")
    ended = await site.programs.run("status", "--json")
    found = json.loads(ended.out)
    assert (ended.code, found["toLookAt"]) == (0, [])
    [runner] = found["runners"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z", runner["seenAt"])
    shared = share_out(hard_limit(), in_flight=500, pool_size=10)
    assert found["descriptors"] == {
        "limit": shared.limit,
        "reserved": shared.reserved,
        "callers": shared.callers,
    }


async def test_accounts_are_listed_with_their_waiting_jobs(site: Site) -> None:
    """No token is printed."""
    await site.post(scheduled_for=LATER)
    ended = await site.programs.run("accounts", "list", "--json")
    [account] = json.loads(ended.out)["items"]
    assert (account["projectId"], account["jobsWaiting"]) == ("proj_1", 1)
    assert "act." not in ended.out
    wrong = await site.programs.run("accounts", "list", "--status", "gone")
    assert wrong.code == 2


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("TIKTOK_API_BASE_URL", "http://127.0.0.1:9", "does not answer"),
        ("TIKTOK_CLIENT_SECRET", "", "TIKTOK_CLIENT_SECRET"),
        ("TIKTOK_REDIRECT_URI", "https://x.example.com/elsewhere", "redirect URI"),
        ("TIKTOK_REDIRECT_URI", "http://x.example.com/oauth/tiktok/callback", "https"),
        ("RUNNER", "cron", "CRON_SECRET"),
        ("CORS_ORIGINS", "http://app.example.com", "not https"),
        ("CORS_ORIGINS", "https://app.example.com/page", "CORS_ORIGINS"),
        ("MEDIA_BASE_URL", "http://127.0.0.1:9/x", "media gateway"),
        ("DATABASE_URL", "postgresql://nobody@127.0.0.1:9/x", "127.0.0.1"),
        ("DATABASE_URL", "postgresql://me@127.0.0.1/x?sslmod=require", "sslmod"),
        ("DATABASE_URL", "mongodb://127.0.0.1/x", "only SQLite and Postgres"),
        ("POLL_DEADLINE_SECONDS", "400", "CLAIM_TIMEOUT_SECONDS"),
    ],
)
async def test_doctor_finds_what_is_wrong(
    sqlite_site: Site, name: str, value: str, says: str
) -> None:
    """Exit 1 and a line that begins with FAIL; nothing is written."""
    site = sqlite_site
    well = {
        "TIKTOK_REDIRECT_URI": "http://127.0.0.1:8000/oauth/tiktok/callback",
        "CRON_SECRET": "" if name == "RUNNER" else "s3cret-of-the-cron-trigger",
        "CLAIM_TIMEOUT_SECONDS": "300",
        "POLL_DEADLINE_SECONDS": "90",
    }
    if value.startswith("mongodb"):  # nor are there keys, which only SQLite makes
        well["TOKEN_ENCRYPTION_KEYS"] = ""
    ended = await site.programs.run("doctor", **{**well, name: value})
    assert ended.code == 1, ended.out
    wrong = [line for line in ended.out.splitlines() if line.startswith("FAIL")]
    assert any(says in line for line in wrong), ended.out


async def test_doctor_finds_all_that_is_wrong_with_settings_at_once(
    programs: Programs, shared_server_url: str
) -> None:
    """Values, values that do not fit together, and what is missing: in one run."""
    ended = await programs.run(
        "doctor",
        DATABASE_URL=shared_server_url,
        DATABASE_POOL_SIZE="0",
        CLAIM_TIMEOUT_SECONDS="30",
        RUNNER="cron",
        TIKTOK_CLIENT_KEY="key",
    )
    assert ended.code == 1, ended.out
    wrong = [line for line in ended.out.splitlines() if line.startswith("FAIL")]
    for name in (
        "DATABASE_POOL_SIZE",
        "CLAIM_TIMEOUT_SECONDS",
        "TOKEN_ENCRYPTION_KEYS",
        "TIKTOK_CLIENT_SECRET",
        "CRON_SECRET",
    ):
        assert sum(name in line for line in wrong) == 1, ended.out
    assert "TIKTOK_CLIENT_KEY" not in ended.out


async def test_doctor_invents_nothing_for_a_wrong_value(programs: Programs) -> None:
    """What a wrong value keeps it from looking at is not told, nor touched."""
    ended = await programs.run(
        "doctor", DATABASE_URL="mongodb://x/y", TIKTOK_REDIRECT_URI="nonsense"
    )
    assert ended.code == 1, ended.out
    wrong = [line for line in ended.out.splitlines() if line.startswith("FAIL")]
    for name in ("DATABASE_URL", "TIKTOK_REDIRECT_URI"):
        assert sum(name in line for line in wrong) == 1, ended.out
    assert not [each for each in programs.directory.iterdir() if each.suffix == ".db"]


async def test_doctor_finds_nothing_where_all_is_well(sqlite_site: Site) -> None:
    """Exit 0, a line for each thing."""
    url = "http://127.0.0.1:8000/oauth/tiktok/callback"
    ended = await sqlite_site.programs.run("doctor", TIKTOK_REDIRECT_URI=url)
    assert ended.code == 0, ended.out
    assert ended.out.count("\n") > 8


@pytest.mark.parametrize("locale", [{}, {"LC_ALL": "C", "PYTHONUTF8": "0"}], ids=str)
async def test_init_writes_fresh_secrets_once(
    programs: Programs, locale: dict[str, str]
) -> None:
    """A .env for its owner alone, with what compose.yaml needs; never overwritten.

    It is UTF-8 whatever the locale has.
    """
    known = {**locale, "PYTHONCOERCECLOCALE": "0"}
    assert (await programs.run("init", **known)).code == 0
    path = programs.directory / ".env"
    assert path.stat().st_mode & 0o077 == 0
    lines = dict(
        line.split("=", 1)
        for line in path.read_text().splitlines()
        if "=" in line and not line.startswith("#")
    )
    secrets = [
        lines[name]
        for name in ("CRON_SECRET", "TOKEN_ENCRYPTION_KEYS", "POSTGRES_PASSWORD")
    ]
    assert all(len(secret) >= 32 for secret in secrets)
    before = path.read_text()
    assert before.count("\N{HORIZONTAL ELLIPSIS}")
    assert (await programs.run("init")).code != 0
    assert path.read_text() == before
    assert (await programs.run("keys", "list")).code == 0  # the file itself is valid


async def test_status_counts_failures_by_the_apis_words(sqlite_site: Site) -> None:
    """`max_attempts` stays one: it is a value, not the name of a field."""
    site = sqlite_site
    job = await site.post(max_attempts=1)
    site.script("init", fault={"kind": "error", "code": "internal_error"})
    await site.programs.run("tick")
    assert (await site.ended(job)).failure_reason is FailureReason.MAX_ATTEMPTS
    found = json.loads((await site.programs.run("status", "--json")).out)
    assert found["failedLastDay"] == {"max_attempts": 1}
