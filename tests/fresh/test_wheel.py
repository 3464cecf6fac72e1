"""The wheel is the product: installed alone, outside any checkout, it does its work."""

import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from subprocess import run
from typing import Any

import httpx
import pytest

from app import __version__
from tests.fresh.environment import Environment, new_environment
from tests.support.patience import PATIENCE_SECONDS
from tests.support.postgres import PostgresServer
from tests.support.repository import ROOT
from tests.system.programs import Programs, free_port, until

ENCRYPTION_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel."""
    target = tmp_path_factory.mktemp("wheel")
    build = (sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", target)
    run(build, cwd=ROOT, check=True, capture_output=True)
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Install it and what base.txt pins, and nothing else."""
    environment = new_environment(tmp_path_factory.mktemp("venv"), pip="newest")
    environment.install("base.txt")
    environment.pip("install", "--quiet", "--no-deps", wheel)
    return environment


@pytest.fixture
async def programs(installed: Environment, tmp_path: Path) -> AsyncIterator[Programs]:
    """Give its programs, in an empty folder."""
    programs = Programs(tmp_path, {}, script=installed.script)
    yield programs
    await programs.close()


def test_the_pins_are_all_that_it_needs(installed: Environment) -> None:
    """No import and no requirement of it is missing; the code is the wheel's."""
    assert "No broken requirements" in installed.pip("check")
    found = Path(installed.python("-c", "import app; print(app.__file__)").strip())
    assert found.is_relative_to(installed.directory)


async def test_it_has_one_version(wheel: Path, programs: Programs) -> None:
    """The name of the file and `--version` say the same."""
    assert wheel.name.split("-")[1] == __version__
    assert (await programs.run("--version")).out == f"{__version__}\n"


async def test_its_demo_ends_well(programs: Programs) -> None:
    """Every scenario, without a file of the checkout."""
    ended = await programs.run("demo")
    assert ended.code == 0, ended.out
    assert re.search(r"^(\d+) of \1 ended as they should", ended.out, re.MULTILINE)


async def test_it_migrates_serves_and_posts(
    programs: Programs, postgres_server: PostgresServer
) -> None:
    """On an empty Postgres, against its own simulator, one post goes out."""
    programs.env["DATABASE_URL"] = postgres_server.url
    programs.env["TOKEN_ENCRYPTION_KEYS"] = ENCRYPTION_KEY
    assert (await programs.run("migrate")).code == 0
    key = (await programs.run("keys", "create")).out.strip()
    sandbox = await (await programs.start("sandbox", "--port", "0")).prints()
    port = free_port()
    server = await programs.start(
        *("serve", "--port", str(port)),
        ALLOW_PRIVATE_URLS="true",
        TIKTOK_API_BASE_URL=sandbox,
        TIKTOK_CLIENT_KEY="sandbox_key",
        TIKTOK_CLIENT_SECRET="sandbox_secret",
        POLL_INTERVAL_SECONDS="0.5",
    )
    await server.says("Uvicorn running")
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=PATIENCE_SECONDS
    ) as client:
        job = await _posted(client, sandbox)
    assert (job["status"], job["attempts"]) == ("posted", 0)
    assert (await server.stop()).code == 0


async def _posted(client: httpx.AsyncClient, sandbox: str) -> dict[str, Any]:
    """Connect the simulator's account, post its video, and wait for the end."""
    account = {
        "openId": "sandbox_user",
        "accessToken": "act.sandbox",
        "refreshToken": "rft.sandbox",
        "expiresIn": 7200,
        "refreshExpiresIn": 86_400,
        "scope": "video.publish",
    }
    put = await client.put("/v1/projects/proj_1/accounts/tiktok", json=account)
    assert put.status_code == 201, put.text
    body = {
        "projectId": "proj_1",
        "assetId": "asset_1",
        "assetUrl": f"{sandbox}/_sandbox/video.mp4",
        "post": {"title": "Hello", "privacyLevel": "PUBLIC_TO_EVERYONE"},
    }
    job = (await client.post("/v1/jobs", json=body)).raise_for_status().json()

    async def over() -> bool:
        nonlocal job
        job = (await client.get(f"/v1/jobs/{job['id']}")).json()
        return job["status"] in {"posted", "failed"}

    await until(over, what="the job's end")
    ended: dict[str, Any] = job
    return ended
