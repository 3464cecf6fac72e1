"""PUT, GET and DELETE of holds."""

import pytest

from tests.api.serving import Api, job_body

PROJECT = "/v1/projects/proj_1/hold"
ALL = "/v1/hold"
HOLD = {"reason": "a recall", "until": "2026-04-10T12:00:00.000Z"}


@pytest.mark.parametrize("path", [PROJECT, ALL])
async def test_a_hold_is_put_shown_and_taken_away(api: Api, path: str) -> None:
    """404 before and after."""
    assert (await api.client.get(path)).status_code == 404
    put = await api.client.put(path, json=HOLD)
    assert (put.status_code, put.json()) == (200, HOLD)
    assert (await api.client.get(path)).json() == HOLD
    assert (await api.client.delete(path)).status_code == 204
    assert (await api.client.get(path)).status_code == 404
    assert (await api.client.delete(path)).status_code == 404


async def test_a_held_job_says_so(api: Api) -> None:
    """It is put off by the tick, keeps its state, and goes on when the hold is gone."""
    job = await api.job(scheduledFor=None)
    await api.client.put(PROJECT, json={"reason": "a recall"})
    report = await api.services.tick()
    assert (report.claimed, report.failed) == (0, 0)
    held = (await api.client.get(f"/v1/jobs/{job['id']}")).json()
    assert (held["status"], held["attempts"]) == ("scheduled", 0)
    assert (held["noticeCode"], held["nextAttemptAt"]) == ("held", None)
    assert "hold" in held["notice"]
    await api.client.delete(PROJECT)
    freed = (await api.client.get(f"/v1/jobs/{job['id']}")).json()
    assert freed["noticeCode"] != "held"
    assert freed["nextAttemptAt"] == freed["scheduledFor"]
    assert (await api.services.tick()).claimed == 1


@pytest.mark.parametrize("path", [PROJECT, ALL])
async def test_a_post_now_is_told_of_a_hold_at_once(api: Api, path: str) -> None:
    """Not only when a claim has met it; what is due later is not held yet."""
    await api.client.put(path, json={"reason": "a recall"})
    job = await api.job(scheduledFor=None)
    assert job["noticeCode"] == "held"
    batch = {"items": [job_body(assetId="a", scheduledFor=None)]}
    (item,) = (await api.client.post("/v1/jobs/batch", json=batch)).json()["items"]
    assert item["job"]["noticeCode"] == "held"
    other = await api.job(assetId="b", projectId="proj_2", scheduledFor=None)
    assert (other["noticeCode"] == "held") == (path == ALL)
    later = await api.job(assetId="c", scheduledFor="2026-04-11T12:00:00.000Z")
    assert later["noticeCode"] != "held"
    await api.client.delete(path)
    assert (await api.job(assetId="d", scheduledFor=None))["noticeCode"] != "held"


async def test_a_hold_that_is_over_holds_no_new_job(api: Api) -> None:
    """A hold that has ended holds no new job, though its row is still there."""
    await api.client.put(PROJECT, json=HOLD)
    api.clock.forward(days=2)
    job = await api.job(scheduledFor=None)
    assert job["noticeCode"] != "held"


@pytest.mark.parametrize("path", [PROJECT, ALL])
async def test_a_hold_stays_in_the_history(api: Api, path: str) -> None:
    """Why a post was late is told after the hold is gone, and who ended it."""
    job = await api.job(scheduledFor=None)
    await api.client.put(path, json={"reason": "a recall"})
    await api.services.tick()
    await api.client.delete(path)
    await api.services.tick()
    story = (await api.client.get(f"/v1/jobs/{job['id']}/history")).json()["items"]
    held, released = (item for item in story if item["kind"] in {"held", "released"})
    assert (held["kind"], released["kind"]) == ("held", "released")
    assert "a recall" in held["text"]
    assert released["by"] is not None


async def test_a_key_of_one_project_holds_that_alone(api: Api) -> None:
    """A key of one project can hold that project; no other hold exists for it."""
    caller = await api.caller("proj_1")
    assert (await caller.put(PROJECT, json=HOLD)).status_code == 200
    await api.client.put(ALL, json=HOLD)
    await api.client.put("/v1/projects/proj_2/hold", json=HOLD)
    for path in (ALL, "/v1/projects/proj_2/hold"):
        for answer in (
            await caller.get(path),
            await caller.put(path, json=HOLD),
            await caller.delete(path),
        ):
            assert answer.status_code == 404


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/reason"),
        ({"reason": ""}, "/reason"),
        ({"reason": "x" * 501}, "/reason"),
        (HOLD | {"until": "2026-04-09T12:00:00.000Z"}, "/until"),
        (HOLD | {"until": "tomorrow"}, "/until"),
    ],
)
async def test_what_is_no_hold_is_refused(
    edge: Api, body: dict[str, object], pointer: str
) -> None:
    """A reason, and an end that is still to come."""
    refused = await edge.client.put(PROJECT, json=body)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == pointer
