"""Scenarios in which something beside the service goes wrong, for chaos.figures."""

import asyncio
import json
import os
import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx

from app.sandbox.script import FaultRule
from app.sandbox.webhooks import sign
from chaos.cutting import cutting
from chaos.site import ENV, PROJECT, Site, soon, until
from tests.support.sql import execute
from tests.system.programs import free_port

FOREIGN: Final = "foreign"
NOTICED: Final = 90.0
"""How long an event of TikTok's may take to change a job, in seconds."""

REQUESTS: Final = 2000  # their lines fill any pipe
SILENT: Final = 5.0  # seconds without an answer

HOLD_SQL: Final = """
UPDATE schedule_jobs
SET status = 'failed', failure_reason = 'unconfirmed', next_attempt_at = NULL,
    claim_token = NULL, claimed_by = NULL, claimed_at = NULL, attempt_started_at = NULL,
    waiting_for = NULL
WHERE next_attempt_at <= CURRENT_TIMESTAMP AND init_sent_at IS NULL
"""
"""What docs/deploy/backups.md said before there was `restore-hold`."""


async def cut_after_insert(site: Site) -> str:
    """Cut the API's connection as a Post Now is stored; repeat it if it failed."""
    async with cutting(site.server.port) as cutter:
        direct = f":{site.server.port}/"
        url = site.server.url.replace(direct, f":{cutter.port}/")
        await site.up(DATABASE_URL=url)
        cutter.armed = True
        answer = await site.send("POST", "/v1/jobs", site.job("now"))
        stored = await execute(site.server.url, "SELECT count(*) FROM schedule_jobs")
        await site.worker()
        await site.taken(1)
        await site.find_jobs()
        await site.over()
        if answer.is_error:  # as it says: try again
            await site.call("POST", "/v1/jobs", **site.job("now"))
            await site.find_jobs()
            await site.over()
    told = f"answered {answer.status_code}, {stored} stored"
    return f"{told}; {site.posts()['now']} posts after what the caller was told to do"


async def full_log(site: Site) -> str:
    """Send many requests to a server whose log nobody reads."""
    await site.up()
    pipe, port = site.programs.directory / "log", free_port()
    os.mkfifo(pipe)
    unread = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    site.programs.wrapper = ("sh", "-c", f'exec "$0" "$@" >{pipe} 2>&1')
    try:
        await site.programs.start("serve", "--port", str(port), RUNNER="embedded")
        url = f"http://127.0.0.1:{port}"
        await site.answers(f"{url}/healthz")
        times = soon(5)
        await site.ask(*times)
        try:
            for _ in range(REQUESTS):
                await site.client.get(f"{url}/none", timeout=SILENT)
        except httpx.TimeoutException:
            pass
        await until(times[-1] + timedelta(seconds=20))
        try:
            await site.client.get(f"{url}/healthz", timeout=SILENT)
            health = "answers"
        except httpx.TimeoutException:
            health = "is silent"
        return f"`/healthz` {health}, {len(site.posts())} of 5 posted"
    finally:
        os.close(unread)


async def foreign_complete(site: Site) -> str:
    """Let somebody else's publish complete while our init is unanswered, not taken."""
    job = await _unanswered(site, taken=False)
    publish_id = await _publish(site)
    await _tell(site, "post.publish.complete", publish_id)
    after = await _noticed(site, job)
    return f"`{after['status']}`, {site.posts()['job-0']} posts of ours"


async def foreign_failure(site: Site) -> str:
    """Let somebody else's publish fail while our init is unanswered, but taken."""
    job = await _unanswered(site, taken=True)
    fault = {"kind": "processing", "failReason": "frame_rate_check_failed"}
    rule = {"call": "init", "fault": fault, "match": {"title": FOREIGN}}
    site.tiktok.sandbox.script.add(FaultRule.model_validate(rule))
    publish_id = await _publish(site)
    await _tell(site, "post.publish.failed", publish_id)
    await _noticed(site, job)
    answer = await site.send("POST", f"/v1/jobs/{job['id']}/retry")
    await site.over()
    told = f"a retry answers {answer.status_code}"
    return f"{told}; {site.posts()['job-0']} posts of ours"


async def _unanswered(site: Site, *, taken: bool) -> dict[str, Any]:
    """Let a job end in doubt."""
    site.fault("init", kind="reset", taken=taken)
    await site.up()
    await site.ask(*soon(1))
    await site.worker()
    (job,) = await site.over()
    site.tiktok.sandbox.script.clear()
    return job


async def _publish(site: Site) -> str:
    """Publish to the account as another installation does."""
    answer = await site.client.post(
        f"{site.tiktok.url}/v2/post/publish/video/init/",
        headers={"Authorization": f"Bearer {site.token}"},
        json={
            "post_info": {"title": FOREIGN, "privacy_level": "SELF_ONLY"},
            "source_info": {
                "source": "PULL_FROM_URL",
                "video_url": f"{site.tiktok.url}/_sandbox/video.mp4?n={FOREIGN}",
            },
        },
    )
    publish_id: str = answer.raise_for_status().json()["data"]["publish_id"]
    await asyncio.sleep(3)  # it takes two
    return publish_id


async def _tell(site: Site, event: str, publish_id: str) -> None:
    """Deliver TikTok's event."""
    now = int(time.time())
    content = json.dumps({"publish_id": publish_id})
    outer = {
        "client_key": ENV["TIKTOK_CLIENT_KEY"],
        "event": event,
        "create_time": now,
        "user_openid": PROJECT,
        "content": content,
    }
    body = json.dumps(outer).encode()
    signature = sign(body, secret=ENV["TIKTOK_CLIENT_SECRET"], timestamp=now)
    headers = {"TikTok-Signature": signature}
    answer = await site.client.post(
        f"{site.url}/webhooks/tiktok", content=body, headers=headers
    )
    answer.raise_for_status()


async def _noticed(site: Site, job: dict[str, Any]) -> dict[str, Any]:
    """Wait until an event has changed how a job ended, or until it would have."""
    deadline, after = time.monotonic() + NOTICED, job
    while _end(after) == _end(job) and time.monotonic() < deadline:
        await asyncio.sleep(0.3)
        after = await site.call("GET", f"/v1/jobs/{job['id']}")
    return after


def _end(job: dict[str, Any]) -> tuple[str, str | None]:
    return job["status"], job["failureReason"]


async def restored(site: Site) -> str:
    """Restore a backup from before five posts, which were claimed then.

    One more job is deleted after the backup. Jobs are held as that version's page on
    restoring says.
    """
    await execute(site.server.url, "CREATE DATABASE scheduler")
    url = site.server.url.removesuffix("postgres") + "scheduler"
    site.programs.env |= {"DATABASE_URL": url, "CLAIM_TIMEOUT_SECONDS": "150"}
    await site.up()
    await site.ask(*soon(5))
    later = datetime.now(UTC) + timedelta(seconds=150)
    await site.ask(later)
    site.fault("creator_info", kind="drip", seconds_per_byte=0.02)
    worker = await site.worker()
    claimed = "SELECT count(*) >= 5 FROM schedule_jobs WHERE claimed_at IS NOT NULL"
    while not await execute(url, claimed):  # noqa: ASYNC110  another program's rows
        await asyncio.sleep(0.05)
    backup = str(site.programs.directory / "backup")
    dsn = url.replace("+asyncpg", "")
    await _run("pg_dump", "--format=custom", f"--file={backup}", dsn)
    site.tiktok.sandbox.script.clear()
    deleted = site.jobs.pop()
    await site.send("DELETE", f"/v1/jobs/{deleted}")
    await site.over()
    await worker.stop()
    await site.down()
    drop = "DROP DATABASE scheduler WITH (FORCE)"
    await execute(site.server.url, drop, "CREATE DATABASE scheduler")
    await _run("pg_restore", "--exit-on-error", "--no-owner", f"--dbname={dsn}", backup)
    if (await site.programs.run("restore-hold", "--help")).code == 0:
        await site.programs.run("restore-hold", "--yes")
    else:
        await execute(url, HOLD_SQL)
    await site.serve()
    await site.worker()
    await until(later + timedelta(seconds=50))
    comes_back = "posted" if site.posts()["job-5"] else "not posted"
    out = len(site.posts().keys() - {"job-5"})
    return f"{out} posted, {site.twice()}, the deleted one is {comes_back}"


async def _run(*command: str) -> None:
    program = await asyncio.create_subprocess_exec(*command)
    if await program.wait():
        raise RuntimeError(f"{command[0]} failed")
