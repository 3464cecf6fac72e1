"""A key of one project sees nothing of another, and cannot tell that it is there."""

from uuid import uuid4

import httpx

from tests.api.serving import Api, job_body


async def test_anothers_job_looks_like_no_job(api: Api) -> None:
    """On every route the body is the same as for a job that does not exist."""
    foreign = (await api.job(projectId="theirs"))["id"]
    requests = (
        ("GET", "", None),
        ("PATCH", "", {"maxAttempts": 3}),
        ("DELETE", "", None),
        ("POST", "/retry", None),
        ("GET", "/attempts", None),
    )
    async with await api.caller("mine") as me:
        for method, tail, body in requests:
            theirs = await me.request(method, f"/v1/jobs/{foreign}{tail}", json=body)
            nobodys = await me.request(method, f"/v1/jobs/{uuid4()}{tail}", json=body)
            assert theirs.status_code == 404
            assert visible(theirs) == visible(nobodys)
    assert (await api.client.get(f"/v1/jobs/{foreign}")).status_code == 200


async def test_a_body_cannot_name_anothers_project(api: Api) -> None:
    """A job for another project is a 404, whether the project exists or not."""
    await api.job(projectId="theirs")
    async with await api.caller("mine") as me:
        theirs = await me.post("/v1/jobs", json=job_body(projectId="theirs"))
        nobodys = await me.post("/v1/jobs", json=job_body(projectId="nobodys"))
        assert theirs.status_code == 404
        assert visible(theirs) == visible(nobodys)
        created = await me.post("/v1/jobs", json=job_body(projectId="mine"))
        assert created.status_code == 201


async def test_a_filter_cannot_name_anothers_project(api: Api) -> None:
    """A list of another project is a 404, and without a filter shows one's own."""
    await api.job(projectId="theirs")
    own = await api.job(projectId="mine")
    async with await api.caller("mine") as me:
        theirs = await me.get("/v1/jobs", params={"projectId": "theirs"})
        nobodys = await me.get("/v1/jobs", params={"projectId": "nobodys"})
        assert theirs.status_code == 404
        assert visible(theirs) == visible(nobodys)
        for query in ({}, {"projectId": "mine"}):
            page = await me.get("/v1/jobs", params=query)
            assert page.json()["items"] == [own]


async def test_a_cursor_leads_to_no_other_project(api: Api) -> None:
    """Somebody else's cursor shows one's own jobs alone."""
    own = await api.job(projectId="mine")
    await api.job(projectId="theirs", assetId="a")
    await api.job(projectId="theirs", assetId="b")
    page = (await api.client.get("/v1/jobs", params={"limit": 1})).json()
    async with await api.caller("mine") as me:
        found = await me.get("/v1/jobs", params={"cursor": page["nextCursor"]})
        assert found.json()["items"] == [own]


async def test_the_same_asset_in_two_projects_is_two_jobs(api: Api) -> None:
    """Projects share no key, so neither learns of the other by a replay."""
    for project in ("mine", "theirs"):
        async with await api.caller(project) as caller:
            body = job_body(projectId=project, scheduledFor=None)
            assert (await caller.post("/v1/jobs", json=body)).status_code == 201


def visible(response: httpx.Response) -> tuple[int, bytes, set[tuple[str, str]]]:
    """Return what a caller sees, except the id of the request."""
    headers = set(response.headers.items()) - {
        ("x-request-id", response.headers["x-request-id"])
    }
    return response.status_code, response.content, headers
