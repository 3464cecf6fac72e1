"""A frontend hears of its jobs from whole programs, over real sockets."""

import httpx
import pytest

from tests.support.patience import PATIENCE_SECONDS
from tests.support.receiver import SECRET, receiving
from tests.system.programs import until
from tests.system.site import CRON_SECRET, Site

PATH = "/v1/projects/proj_1/webhook"


async def client(site: Site, url: str) -> httpx.AsyncClient:
    """Make a client of the API with a key."""
    key = (await site.programs.run("keys", "create")).out.strip()
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.AsyncClient(base_url=url, headers=headers, timeout=PATIENCE_SECONDS)


async def test_a_frontend_hears_of_its_post(site: Site) -> None:
    """With the runner embedded: what it gets is the job as GET shows it."""
    _, url = await site.serve()
    async with receiving() as receiver, await client(site, url) as api:
        put = await api.put(PATH, json={"url": receiver.url, "secret": SECRET})
        assert put.status_code == 201
        job = await site.post()
        (received,) = await receiver.got(1)
        event = received.verified()
        assert event["type"] == "job.posted"
        shown = (await api.get(f"/v1/jobs/{job.id}")).json()
        assert event["data"] == shown


@pytest.mark.parametrize("by", ["route", "command"])
async def test_a_tick_tells_what_it_did(site: Site, by: str) -> None:
    """With cron alone: the tick that posts a job also tells of it, before it ends."""
    _, url = await site.serve(RUNNER="cron")
    async with receiving() as receiver, await client(site, url) as api:
        await api.put(PATH, json={"url": receiver.url, "secret": SECRET})
        await site.post()
        if by == "route":
            headers = {"Authorization": f"Bearer {CRON_SECRET}"}
            tick = (await api.post("/cron/tick", headers=headers)).json()
            assert tick["posted"] == 1
        else:
            assert (await site.programs.run("tick")).code == 0
        assert [each.verified()["type"] for each in receiver.received] == ["job.posted"]


async def test_a_worker_tells_and_tries_again(site: Site) -> None:
    """Without HTTP of its own, after answers that are none, under one id."""
    site.script("init", fault={"kind": "error", "code": "internal_error"})
    _, url = await site.serve(RUNNER="cron")
    worker = await site.programs.start("worker", WEBHOOK_RETRY_SECONDS="0.2,0.2,0.2")
    async with receiving() as receiver, await client(site, url) as api:
        receiver.answers += [500, 302]
        await api.put(PATH, json={"url": receiver.url, "secret": SECRET})
        await site.ended(await site.post())
        received = await receiver.got(4)
        types = [each.verified()["type"] for each in received]
        assert types == ["job.retrying"] * 3 + ["job.posted"]
        assert len({each.id for each in received}) == 2

        async def arrived() -> bool:
            page = (await api.get(f"{PATH}/events")).json()
            return [each["status"] for each in page["items"]] == ["delivered"] * 2

        await until(arrived, what="both events' receipts")
        assert (await api.get(PATH)).json()["failingSince"] is None
    ended = await worker.stop()
    assert ended.code == 0
