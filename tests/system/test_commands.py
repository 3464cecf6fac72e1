"""Every command does what its help says, and no more."""

import json
import re
import sys
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from pydantic import SecretStr

from app import __version__
from app.domain.jobs.job import JobStatus
from app.opening import open_database
from app.service.operations.health import DatabaseState, found_in
from app.settings import Settings
from tests.support.patience import PATIENCE_SECONDS
from tests.system.programs import Programs
from tests.system.site import Site

COMMANDS = {"serve", "worker", "tick", "migrate", "keys", "sandbox", "demo"}


async def test_help_lists_every_command(programs: Programs) -> None:
    """Without arguments the program says what it can do."""
    ended = await programs.run("--help")
    assert ended.code == 0
    assert {word for word in ended.out.split() if word in COMMANDS} == COMMANDS


async def test_the_version_is_one_word(programs: Programs) -> None:
    """`--version` prints the version alone and touches nothing."""
    ended = await programs.run("--version")
    assert (ended.code, ended.out, ended.err) == (0, f"{__version__}\n", "")
    assert not (programs.directory / "scheduler.db").exists()


async def test_the_package_is_the_program_too(tmp_path: Path) -> None:
    """`python -m app` is the console script."""
    process = await create_subprocess_exec(
        *(sys.executable, "-m", "app", "keys", "list"), cwd=tmp_path, stdout=PIPE
    )
    out, _ = await process.communicate()
    assert (process.returncode, out) == (0, b"")
    assert (tmp_path / "scheduler.db").exists()


async def test_a_key_is_made_listed_and_revoked(programs: Programs) -> None:
    """`create` prints the key and nothing else; nobody ever prints it again."""
    made = await programs.run("keys", "create", "--project", "proj_1", "--name", "web")
    key = made.out.removesuffix("\n")
    assert (made.code, made.err) == (0, "")
    assert key.startswith("tts_")
    assert len(key.split()) == 1
    listed = await programs.run("keys", "list")
    key_id, project, access, state, *_, name = listed.out.strip().split("\t")
    assert (project, access, state, name) == ("proj_1", "write", "active", "web")
    assert (await programs.run("keys", "revoke", key_id)).code == 0
    listed_again = await programs.run("keys", "list")
    assert "\trevoked\t" in listed_again.out
    assert key not in listed.out + listed.err + listed_again.out + listed_again.err
    database = (programs.directory / "scheduler.db").read_bytes()
    assert key.encode() not in database


async def test_revoking_a_key_that_is_not_there_is_one_line(programs: Programs) -> None:
    """What the user can mend is no traceback."""
    for key_id in ("no-such-key", "\udcff"):  # a byte that is no UTF-8
        ended = await programs.run("keys", "revoke", key_id)
        assert ended.code == 1
        assert ended.err == "tiktok-scheduler: no key has this id\n"


async def test_tick_prints_its_report(site: Site) -> None:
    """A job that is due is posted; the report is one JSON object, the code 0."""
    job = await site.post()
    ended = await site.programs.run("tick")
    report = json.loads(ended.out)
    assert ended.code == 0
    assert report.pop("durationMs") > 0
    assert report == {
        "claimed": 1,
        "posted": 1,
        "retrying": 0,
        "failed": 0,
        "inFlight": 0,
        "reclaimed": 0,
    }
    assert (await site.container.jobs.get(job.id)).status is JobStatus.POSTED


async def test_migrate_brings_a_database_up_to_date(
    programs: Programs, empty_url: str
) -> None:
    """An empty database is ready afterwards, and a second run changes nothing."""
    for _ in range(2):
        assert (await programs.run("migrate", DATABASE_URL=empty_url)).code == 0
    opened = open_database(Settings(database_url=SecretStr(empty_url), _env_file=None))
    try:
        assert (await found_in(opened)).state is DatabaseState.READY
    finally:
        await opened.close()


async def test_the_simulator_says_where_it_listens(programs: Programs) -> None:
    """It prints its URL once it answers there, and ends when told to."""
    sandbox = await programs.start("sandbox", "--port", "0")
    url = await sandbox.prints()
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_SECONDS) as client:
        assert (await client.get("/_sandbox/healthz")).is_success
    ended = await sandbox.stop()
    assert ended.code in {0, -15}


async def test_serve_runs_jobs_and_names_each_request(sqlite_site: Site) -> None:
    """A request's id comes back, and is in the log line of that request."""
    site = sqlite_site
    key = (await site.programs.run("keys", "create")).out.strip()
    server, url = await site.serve(LOG_FORMAT="json")
    job = await site.post()
    headers = {"Authorization": f"Bearer {key}", "X-Request-ID": "req-of-the-test"}
    async with httpx.AsyncClient(
        base_url=url, headers=headers, timeout=PATIENCE_SECONDS
    ) as client:
        answer = await client.get(f"/v1/jobs/{job.id}")
    assert answer.headers["X-Request-ID"] == "req-of-the-test"
    await site.ended(job)
    ended = await server.stop()
    lines = [json.loads(line) for line in ended.err.splitlines()]
    of_request = [line for line in lines if line.get("request_id") == "req-of-the-test"]
    assert [line["status"] for line in of_request] == [200]
    assert key not in ended.err


async def test_a_job_waits_for_its_time(sqlite_site: Site) -> None:
    """A worker posts a scheduled job when its time has come, and not before."""
    site = sqlite_site
    worker = await site.programs.start("worker")
    await worker.says("worker started")
    due = datetime.now(UTC) + timedelta(seconds=1.5)
    job = await site.ended(await site.post(scheduled_for=due))
    (taken,) = site.tiktok.sandbox.posts
    assert job.status is JobStatus.POSTED
    assert taken.taken_at >= job.scheduled_for.timestamp()


async def test_the_demo_ends_well(programs: Programs) -> None:
    """Every scenario ended as it should, which is what exit code 0 says."""
    ended = await (await programs.start("demo")).ended()
    assert ended.code == 0, ended.out
    assert re.search(r"^(\d+) of \1 ended as they should", ended.out, re.MULTILINE)
