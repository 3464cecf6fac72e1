"""compose.yaml's services, with the settings that it gives each, do their work.

Docker itself is left out: each service runs as a process, and the names of others
become addresses of this machine.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml  # type: ignore[import-untyped]  # ships no types
from sqlalchemy import make_url

from tests.support.patience import PATIENCE_SECONDS
from tests.support.repository import ROOT
from tests.system.programs import Programs, free_port, until

COMPOSE: Final = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
OURS: Final = ("migrate", "api", "worker")
VARIABLE: Final = re.compile(r"\$\{(\w+):\?[^}]*\}")


def dotenv(path: Path) -> dict[str, str]:
    """Read a .env as compose does."""
    lines = (line for line in path.read_text().splitlines() if "=" in line)
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


def environment(service: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return what a service finds in its environment."""
    own: dict[str, Any] = COMPOSE[service].get("environment", {})
    named = {
        name: VARIABLE.sub(lambda found: given[found[1]], str(value))
        for name, value in own.items()
    }
    return {**(given if COMPOSE[service].get("env_file") else {}), **named}


async def test_the_services_post_with_the_simulator(
    programs: Programs, postgres_url: str
) -> None:
    """`init --simulator`, then what compose starts: connect, post, posted."""
    database, simulated, api = make_url(postgres_url), free_port(), free_port()
    assert (await programs.run("init", "--simulator")).code == 0
    given = dotenv(programs.directory / ".env")
    (programs.directory / ".env").unlink()  # in a container there is none

    def here(service: str) -> dict[str, str]:
        found = environment(service, given)
        text = "\n".join(f"{name}={value}" for name, value in found.items())
        for old, new in (
            (f"scheduler:{given['POSTGRES_PASSWORD']}@", f"{database.username}@"),
            ("postgres:5432/scheduler", f"{database.host}:{database.port}/x"),
            ("simulator:9000", f"127.0.0.1:{simulated}"),
            ("127.0.0.1:9000", f"127.0.0.1:{simulated}"),
            ("127.0.0.1:8000", f"127.0.0.1:{api}"),
            ("METRICS_PORT=9101", f"METRICS_PORT={free_port()}"),
            ("SPOOL_DIR=/data", f"SPOOL_DIR={programs.directory}"),
        ):
            text = text.replace(old, new)
        moved = dict(line.split("=", 1) for line in text.splitlines())
        return {**moved, "DATABASE_URL": postgres_url}

    assert environment("simulator", given) == {}
    command = [*map(str, COMPOSE["simulator"]["command"]), "--port", str(simulated)]
    await (await programs.start(*command)).prints()
    assert (await programs.run("migrate", **here("migrate"))).code == 0
    server = await programs.start("serve", "--port", str(api), **here("api"))
    await programs.start(*COMPOSE["worker"]["command"], **here("worker"))
    await server.says("Uvicorn running")
    key = (await programs.run("keys", "create", **here("api"))).out.strip()
    asset = f"http://127.0.0.1:{simulated}/_sandbox/video.mp4"
    await post(f"http://127.0.0.1:{api}", key, asset)


async def post(url: str, key: str, asset: str) -> None:
    """Connect an account at the simulator and post to it."""
    bearer = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client:
        connect = f"{url}/v1/projects/proj_1/accounts/tiktok/connect"
        begun = (await client.post(connect, headers=bearer)).json()
        back = await client.get(begun["authorizeUrl"], follow_redirects=True)
        assert back.is_success, back.text
        body = {
            "projectId": "proj_1",
            "assetId": "asset_9",
            "assetUrl": asset,
            "post": {"mode": "direct", "privacyLevel": "SELF_ONLY"},
        }
        made = await client.post(f"{url}/v1/jobs", json=body, headers=bearer)
        assert made.status_code == 201, made.text

        async def posted() -> bool:
            job = await client.get(f"{url}{made.headers['location']}", headers=bearer)
            return bool(job.json()["status"] == "posted")

        await until(posted, what="the post")


def test_what_is_missing_is_named_before_anything_starts() -> None:
    """`cp .env.example .env && docker compose up` says what to do."""
    lacking = VARIABLE.findall((ROOT / "compose.yaml").read_text())
    assert set(lacking) == {"POSTGRES_PASSWORD", "TOKEN_ENCRYPTION_KEYS"}
    given = dotenv(ROOT / ".env.example")
    assert not set(lacking) & set(given)
    hints = re.findall(r"\$\{\w+:\?([^}]*)\}", (ROOT / "compose.yaml").read_text())
    assert all("tiktok-scheduler init" in hint for hint in hints)


@pytest.mark.parametrize("service", OURS)
def test_a_service_may_keep_what_a_database_would_not_take(service: str) -> None:
    """Its root is read-only; SPOOL_DIR is a volume that outlives it."""
    found = COMPOSE[service]
    assert found["read_only"]
    spool = environment(
        service, dict.fromkeys(("POSTGRES_PASSWORD", "TOKEN_ENCRYPTION_KEYS"), "x")
    )
    assert f"spool:{spool['SPOOL_DIR']}" in found["volumes"]
