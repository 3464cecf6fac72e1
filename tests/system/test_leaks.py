"""Secrets lie open nowhere, and what looks for them at the end of every site works."""

import asyncio
from urllib.parse import parse_qs, urlsplit

import httpx
from sqlalchemy import make_url

from app.sandbox.recording import Call
from app.service.keys import KeyService
from tests.support.patience import PATIENCE_SECONDS
from tests.support.postgres import find_binaries
from tests.support.receiver import SECRET, receiving
from tests.system.site import CRON_SECRET, Site

PROJECT = "/v1/projects/proj_1"


async def test_a_secret_in_the_open_is_found(site: Site) -> None:
    """In a log, in a file, in a table: tokens and secrets are named by their place."""
    await site.post()
    assert await site.leaks() == []
    (pair,) = (
        grant
        for grant in site.tiktok.sandbox.accounts.current.values()
        if grant.open_id == "proj_1"
    )
    log = site.programs.directory / "0.err"
    log.write_text(f"{CRON_SECRET} {pair.access_token} {pair.refresh_token}")
    assert len(await site.leaks()) == 3
    log.unlink()


async def test_no_secret_of_the_whole_way_lies_open(site: Site) -> None:
    """Connect, refresh, post, tell: database files, dump and logs hold no secret."""
    _, url = await site.serve(
        TIKTOK_AUTHORIZE_URL=f"{site.tiktok.url}/v2/auth/authorize/",
        TIKTOK_REDIRECT_URI="http://127.0.0.1/oauth/tiktok/callback",
        LOG_LEVEL="debug",
    )
    async with receiving() as receiver, await _caller(site, url) as api:
        webhook = {"url": receiver.url, "secret": SECRET}
        assert (await api.put(f"{PROJECT}/webhook", json=webhook)).status_code == 201
        site.secrets.append(SECRET.removeprefix("whsec_"))
        await _connect(site, api)
        _end_token(site)
        asset = f"{site.tiktok.url}/_sandbox/video.mp4"
        post = {"privacyLevel": "SELF_ONLY"}
        job = {"projectId": "proj_1", "assetId": "a", "assetUrl": asset, "post": post}
        assert (await api.post("/v1/jobs", json=job)).status_code == 201
        (received,) = await receiver.got(1)
        assert received.verified()["type"] == "job.posted"
    assert len(site.calls(Call.TOKEN)) == 2  # the code's exchange and a refresh
    assert await site.leaks() == []
    dump = await _dump(site)
    assert b"proj_1" in dump
    assert [secret for secret in site.all_secrets() if secret.encode() in dump] == []


async def _caller(site: Site, url: str) -> httpx.AsyncClient:
    """Make a client with a key that nobody printed anywhere."""
    keys = KeyService(store=site.container.keys, clock=site.container.clock)
    _, key = await keys.create("test", None)
    site.secrets.append(key)
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.AsyncClient(base_url=url, headers=headers, timeout=PATIENCE_SECONDS)


async def _connect(site: Site, api: httpx.AsyncClient) -> None:
    """Go a person's way over TikTok's consent page and back."""
    begun = (await api.post(f"{PROJECT}/accounts/tiktok/connect", json={})).json()
    consent = await api.get(begun["authorizeUrl"])
    back = parse_qs(urlsplit(consent.headers["location"]).query)
    code, state = back["code"][0], back["state"][0]
    site.secrets.extend([code, state])
    answer = await api.get(
        "/oauth/tiktok/callback", params={"code": code, "state": state}
    )
    assert answer.status_code == 200, answer.text


def _end_token(site: Site) -> None:
    """Let TikTok refuse the token of whoever has connected."""
    sandbox = site.tiktok.sandbox
    sandbox.accounts.kill_access_token("sandbox_user", now=sandbox.now())


async def _dump(site: Site) -> bytes:
    """Return what a backup holds."""
    database = site.container.database
    if database.is_sqlite:
        files = site.programs.directory.glob("*.db*")
        return b"".join([path.read_bytes() for path in files])
    url = make_url(site.programs.env["DATABASE_URL"]).set(drivername="postgresql")
    program = await asyncio.create_subprocess_exec(
        find_binaries() / "pg_dump",
        *("--inserts", "--dbname", url.render_as_string(hide_password=False)),
        stdout=asyncio.subprocess.PIPE,
    )
    dump, _ = await program.communicate()
    assert program.returncode == 0
    return dump
