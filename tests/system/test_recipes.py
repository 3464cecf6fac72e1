"""The deploy guides' recipes work as they are written, with the real programs."""

import asyncio
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from app.domain.events import EventType
from app.store.db.engine import Database
from app.store.db.migrate import upgrade
from app.store.jobs.requests.job_store import JobStore
from tests.store.db.roles import as_url
from tests.support.certificates import make_certificate
from tests.support.factories import NOW, new_job
from tests.support.outbox import happen, listen
from tests.support.patience import PATIENCE_SECONDS
from tests.support.postgres import PostgresServer
from tests.support.repository import ROOT
from tests.support.sql import execute
from tests.system.programs import SCRIPT, free_port, until
from tests.system.site import Site

GUIDES = ROOT / "docs" / "deploy"
SQL = re.compile(r"^```sql\n(.*?)^```", re.MULTILINE | re.DOTALL)
CRON_LINE = re.compile(r"^\* \* \* \* \* (.*)$", re.MULTILINE)
PATH_OF_CRON = "/usr/bin:/bin"


def program(name: str) -> str | None:
    """Find a program, also where only root looks."""
    return shutil.which(name, path=f"{PATH_OF_CRON}:/usr/sbin:/usr/local/bin")


def recipes(guide: str) -> list[list[str]]:
    """Return the statements of each block of SQL in a guide."""
    blocks = SQL.findall((GUIDES / guide).read_text())
    return [
        [each.strip() for each in block.split(";\n") if each.strip()]
        for block in blocks
    ]


async def work_with(url: str) -> None:
    """Do what a service does: store, tell a frontend, read."""
    database = Database(url)
    try:
        job, _ = await JobStore(database).add(new_job(), now=NOW)
        await listen(database, "https://frontend.example.com/hook", now=NOW)
        await happen(database, EventType.JOB_POSTED, now=NOW)
        assert (await JobStore(database).get(job.id)).id == job.id
    finally:
        await database.close()


async def test_a_database_is_made_and_its_password_changed(
    postgres_server: PostgresServer,
) -> None:
    """postgres.md, then keys.md twice: no right is missing, no role stays behind."""
    (make_role, make_database), *_ = recipes("postgres.md")
    (add, act), (retire,) = recipes("keys.md")
    admin = postgres_server.url
    await execute(admin, make_role, make_database, "SELECT 1")
    first = as_url(admin, username="scheduler", database="scheduler")
    await asyncio.to_thread(upgrade, first)
    await work_with(first)

    await execute(admin, add, act, "SELECT 1")
    second = as_url(first, username="scheduler_2")
    await work_with(second)
    await execute(admin, retire, "SELECT 1")
    await asyncio.to_thread(upgrade, second)

    third = [each.replace("scheduler_2", "scheduler_3") for each in (add, act)]
    await execute(admin, *third, "DROP ROLE scheduler_2", "SELECT 1")
    await work_with(as_url(first, username="scheduler_3"))
    owners = "SELECT string_agg(DISTINCT tableowner, ',') FROM pg_tables"
    where = "WHERE schemaname = 'public'"
    assert await execute(first.replace("scheduler@", "postgres@"), f"{owners} {where}")


async def test_cron_finds_the_program(site: Site) -> None:
    """A crontab's line works with what cron gives it, which is next to nothing."""
    (line,) = CRON_LINE.findall((GUIDES / "cron.md").read_text())
    for path, there in (
        ("/var/lib/tiktok-scheduler", str(site.programs.directory)),
        ("/opt/tiktok-scheduler/bin/tiktok-scheduler", str(SCRIPT)),
    ):
        assert path in line
        line = line.replace(path, there)
    env = {name: value for name, value in site.programs.env.items() if name != "PATH"}
    shell = await asyncio.create_subprocess_exec(
        *("/bin/sh", "-c", line),
        env={**env, "PATH": PATH_OF_CRON, "SHELL": "/bin/sh"},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await shell.communicate()
    assert shell.returncode == 0
    assert b'"claimed": 0' in out


@pytest.mark.skipif(program("crontab") is None, reason="cron is not installed")
def test_cron_takes_the_crontab() -> None:
    """The real program reads it and finds nothing wrong."""
    crontab = program("crontab")
    assert crontab is not None
    checked = subprocess.run(
        [crontab, "-n", ROOT / "deploy" / "crontab"],
        capture_output=True,
        text=True,
        check=False,
    )
    if "usage" in checked.stderr and checked.returncode != 0:
        pytest.skip("this crontab has no dry run")
    assert checked.returncode == 0, checked.stderr


@pytest.mark.skipif(program("promtool") is None, reason="no Prometheus is installed")
@pytest.mark.parametrize(
    "command",
    [["check", "config", "prometheus.yml"], ["test", "rules", "alerts.test.yml"]],
    ids=["config", "rules"],
)
def test_prometheus_takes_its_files(command: list[str]) -> None:
    """The configuration is read, and each alert fires when it should."""
    promtool = program("promtool")
    assert promtool is not None
    checked = subprocess.run(
        [promtool, *command],
        cwd=ROOT / "deploy" / "prometheus",
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@asynccontextmanager
async def nginx(to: str, directory: Path) -> AsyncIterator[tuple[str, Path]]:
    """Run nginx with our file on a port of its own; give its URL and certificate."""
    certificate, port = make_certificate(directory).path, free_port()
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    for old, new in (
        ("127.0.0.1:8000", to.removeprefix("http://")),
        ("listen 443", f"listen 127.0.0.1:{port}"),
        ("/etc/nginx/tls/fullchain.pem", str(certificate)),
        ("/etc/nginx/tls/privkey.pem", str(certificate)),
        # However slowly a crowd comes: what may be asked at one go is all it gets.
        ("rate=100r/s", "rate=1r/m"),
    ):
        assert old in text
        text = text.replace(old, new)
    config = directory / "nginx.conf"
    config.write_text(
        "daemon off; master_process off; pid nginx.pid; error_log stderr;\n"
        f"events {{}}\nhttp {{ access_log {directory}/access.log;\n{text}\n}}\n"
    )
    found = program("nginx")
    assert found is not None
    running = await asyncio.create_subprocess_exec(
        *(found, "-p", directory, "-c", config)
    )
    try:
        await until(lambda: listens(port), what="nginx")
        yield f"https://127.0.0.1:{port}", certificate
    finally:
        running.kill()
        await running.wait()


def listens(port: int) -> bool:
    """Tell whether somebody takes connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.skipif(program("nginx") is None, reason="nginx is not installed")
async def test_nginx_stands_in_front(sqlite_site: Site, tmp_path: Path) -> None:
    """TLS, the API behind it, events as they come, and no secret in its log."""
    site = sqlite_site
    folder = tmp_path / "nginx"
    folder.mkdir()
    _, url = await site.serve()
    key = (await site.programs.run("keys", "create")).out.strip()
    async with (
        nginx(url, folder) as (front, certificate),
        httpx.AsyncClient(
            base_url=front,
            verify=ssl.create_default_context(cafile=certificate),
            headers={"Authorization": f"Bearer {key}"},
            timeout=PATIENCE_SECONDS,
        ) as client,
    ):
        assert (await client.get("/readyz")).status_code == 200
        assert (await client.get("/metrics")).status_code == 200
        missing = await client.get("/media/s3cret-of-a-link")
        assert missing.status_code == 404
        stream = "/v1/jobs/stream?projectId=proj_1"
        async with client.stream("GET", stream, timeout=PATIENCE_SECONDS) as events:
            lines = events.aiter_lines()
            assert await anext(lines)  # at once, though no event came yet
        crowd = await asyncio.gather(*(client.get("/healthz") for _ in range(600)))
        assert {each.status_code for each in crowd} == {200, 429}
    log = (folder / "access.log").read_text()
    assert "/readyz" in log
    assert "s3cret-of-a-link" not in log
