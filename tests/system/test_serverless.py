"""What a function platform serves: one file, and a cron that calls it."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from typing import Final

from app.domain.jobs.job import JobStatus
from tests.support.repository import ROOT
from tests.system.site import Site

# As the platform does it: find `app`, start it, send the cron's request.
PLATFORM: Final = """
import asyncio, json, os, httpx
from index import app

async def call():
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as it:
            refused = await it.get("/cron/tick")
            secret = os.environ["CRON_SECRET"]
            sent = {"Authorization": f"Bearer {secret}"}
            ticked = await it.get("/cron/tick", headers=sent)
    print(json.dumps([refused.status_code, ticked.status_code, ticked.json()]))

asyncio.run(call())
"""


async def test_a_cron_call_posts_what_is_due(site: Site) -> None:
    """Whatever RUNNER says: between two calls a function is frozen."""
    job = await site.post()
    environment = {"PYTHONPATH": str(ROOT), "RUNNER": "embedded"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-B", "-c", PLATFORM),
        cwd=ROOT / "deploy" / "vercel",
        env={**site.programs.env, **environment},
        stdout=PIPE,
    )
    out, _ = await process.communicate()
    refused, status, report = json.loads(out)
    assert (refused, status) == (401, 200)
    assert (report["claimed"], report["posted"]) == (1, 1)
    assert (await site.container.jobs.get(job.id)).status is JobStatus.POSTED
