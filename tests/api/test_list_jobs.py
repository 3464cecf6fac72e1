"""GET /v1/jobs: filters, and pages that stay put while rows come in."""

from datetime import UTC, datetime
from itertools import product
from typing import Any, Final
from uuid import UUID

import pytest

from app.service.pages import encode_job_cursor
from app.store.jobs.requests.listing import JobOrder, JobPosition, JobSort
from tests.api.serving import Api
from tests.support.factories import FAILED, POSTED, SCHEDULED, store_job


async def listed(api: Api, **query: object) -> list[str]:
    """Return the asset of each job on a page."""
    params: dict[str, Any] = query
    response = await api.client.get("/v1/jobs", params=params)
    assert response.status_code == 200, response.text
    return [job["assetId"] for job in response.json()["items"]]


async def test_an_empty_list_has_no_next_page(api: Api) -> None:
    """Without jobs there is an empty page and nothing after it."""
    response = await api.client.get("/v1/jobs")
    assert response.json() == {"items": [], "nextCursor": None}


async def test_the_newest_job_comes_first(api: Api) -> None:
    """A list is ordered by creation, newest first, and shows whole jobs."""
    first = await api.job(assetId="a")
    await api.job(assetId="b")

    response = await api.client.get("/v1/jobs")
    assert [job["assetId"] for job in response.json()["items"]] == ["b", "a"]
    assert response.json()["items"][1] == first


async def test_filters_narrow_the_list_together(api: Api) -> None:
    """Each filter leaves out what does not match, and all must match."""
    await store_job(api.database, SCHEDULED, asset_id="a", project_id="p1")
    await store_job(api.database, POSTED, asset_id="b", project_id="p1")
    await store_job(api.database, FAILED, asset_id="c", project_id="p2")

    assert await listed(api, projectId="p1") == ["b", "a"]
    assert await listed(api, status="failed") == ["c"]
    assert await listed(api, assetId="a") == ["a"]
    assert await listed(api, platform="tiktok") == ["c", "b", "a"]
    assert await listed(api, platform="myspace") == []
    assert await listed(api, projectId="p1", status="failed") == []


async def test_a_time_window_includes_its_start_and_not_its_end(api: Api) -> None:
    """Windows that touch share no job: scheduledFrom is in, scheduledTo is out."""
    for hour in (10, 11, 12):
        await api.job(assetId=str(hour), scheduledFor=f"2026-04-09T{hour}:00:00Z")

    window = {
        "scheduledFrom": "2026-04-09T10:00:00Z",
        "scheduledTo": "2026-04-09T14:00:00+02:00",
    }
    assert await listed(api, **window) == ["11", "10"]
    assert await listed(api, scheduledFrom=window["scheduledTo"]) == ["12"]


async def test_a_status_and_a_reason_may_repeat(api: Api) -> None:
    """Listed jobs have one of the statuses, and one of the reasons, that were named."""
    await store_job(api.database, SCHEDULED, asset_id="a")
    await store_job(api.database, POSTED, asset_id="b")
    for asset, reason in {"c": "auth", "d": "permanent", "e": "missed"}.items():
        columns = {"asset_id": asset, "failure_reason": reason}
        await store_job(api.database, FAILED, **columns)

    assert await listed(api, status=["posted", "scheduled"]) == ["b", "a"]
    assert await listed(api, status=["posted", "failed"]) == ["e", "d", "c", "b"]
    assert await listed(api, failureReason=["auth", "missed"]) == ["e", "c"]
    both = {"status": ["failed", "posted"], "failureReason": "auth"}
    assert await listed(api, **both) == ["c"]
    assert await listed(api, status="posted", failureReason="auth") == []


async def test_the_callers_own_word_finds_its_jobs(api: Api) -> None:
    """ExternalId belongs to the caller, and may name several jobs."""
    for asset, word in {"a": "order-7", "b": "order-8", "c": "order-7"}.items():
        await api.job(assetId=asset, externalId=word)
    assert await listed(api, externalId="order-7") == ["c", "a"]


async def test_a_calendar_is_listed_by_its_times(api: Api) -> None:
    """A calendar lists jobs by creation or by their time, in both directions."""
    for asset, hour in {"a": 11, "b": 10, "c": 12}.items():
        await api.job(assetId=asset, scheduledFor=f"2026-04-09T{hour}:00:00Z")

    assert await listed(api, sort="scheduledFor") == ["c", "a", "b"]
    assert await listed(api, sort="scheduledFor", order="asc") == ["b", "a", "c"]
    assert await listed(api, order="asc") == ["a", "b", "c"]
    later = {"scheduledFrom": "2026-04-09T11:00:00Z"}
    assert await listed(api, order="asc", **later) == ["a", "c"]


async def test_a_cursor_goes_on_in_its_order(api: Api) -> None:
    """It carries sort and order; another order than its own is refused."""
    for asset, hour in {"a": 11, "b": 10, "c": 12}.items():
        await api.job(assetId=asset, scheduledFor=f"2026-04-09T{hour}:00:00Z")
    for sort, order in product(("createdAt", "scheduledFor"), ("asc", "desc")):
        asked = {"sort": sort, "order": order}
        every = await listed(api, **asked)
        first = await api.client.get("/v1/jobs", params=asked | {"limit": 1})
        cursor = first.json()["nextCursor"]
        assert await listed(api, cursor=cursor) == every[1:]
        assert await listed(api, cursor=cursor, **asked) == every[1:]
        other = {"sort": sort, "order": "asc" if order == "desc" else "desc"}
        refused = await api.client.get("/v1/jobs", params=other | {"cursor": cursor})
        assert refused.json()["errors"][0]["pointer"] == "/cursor"


async def test_pages_are_stable_while_rows_come_in(api: Api) -> None:
    """Walking the pages sees each job once, though new ones arrive in between."""
    for number in range(7):
        await api.job(assetId=f"old_{number}")
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        query = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        page = (await api.client.get("/v1/jobs", params=query)).json()
        assert len(page["items"]) <= 3
        seen += [job["assetId"] for job in page["items"]]
        cursor = page["nextCursor"]
        await api.job(assetId=f"new_{len(seen)}")

    assert seen == [f"old_{number}" for number in reversed(range(7))]


async def test_a_page_that_is_just_full_is_the_last(edge: Api) -> None:
    """There is no nextCursor when nothing follows, even on a full page."""
    for number in range(2):
        await edge.job(assetId=f"a{number}")
    page = (await edge.client.get("/v1/jobs", params={"limit": 2})).json()
    assert len(page["items"]) == 2
    assert page["nextCursor"] is None


async def test_fifty_jobs_are_a_page_unless_told_otherwise(edge: Api) -> None:
    """The default limit is 50, the largest 200."""
    for number in range(51):
        await store_job(edge.database, asset_id=f"a{number}")
    assert len(await listed(edge)) == 50
    assert len(await listed(edge, limit=200)) == 51


FAULTY: Final = [
    ("limit=0", "/limit"),
    ("limit=201", "/limit"),
    ("limit=-1", "/limit"),
    ("limit=ten", "/limit"),
    ("limit=", "/limit"),
    ("status=done", "/status"),
    ("status=posted&status=done", "/status"),
    ("failureReason=bad", "/failureReason"),
    ("externalId=", "/externalId"),
    ("sort=title", "/sort"),
    ("order=up", "/order"),
    ("projectId=", "/projectId"),
    ("projectId=a%7Cb", "/projectId"),
    ("projectId=a%00b", "/projectId"),
    ("assetId=%00", "/assetId"),
    ("platform=%00", "/platform"),
    ("scheduledFrom=2026-04-09", "/scheduledFrom"),
    ("scheduledFrom=2026-04-09T12:00:00", "/scheduledFrom"),
    ("scheduledTo=1700000000", "/scheduledTo"),
    ("projectID=p", "/projectID"),  # else the list would show everybody's
    ("project_id=p", "/project_id"),
    ("cursor=", "/cursor"),
    ("cursor=%00", "/cursor"),
    ("cursor=abc", "/cursor"),
    ("cursor=AAAAAAAAAAAAAAAAAAAAAA==", "/cursor"),
    ("cursor=AAAAAAAAAAAAAAAAAAAAAB", "/cursor"),  # not how we write it
    ("cursor=AAAAAAAAAAAAAAAAAAAA%2BA", "/cursor"),
    ("cursor=" + "A" * 5000, "/cursor"),
    ("cursor=AQ", "/cursor"),
    ("cursor=BAAAAAAAAAAAAAAAAAAAAAA", "/cursor"),  # of no order
    ("cursor=AgAAAAAAAAAAAAAAAAAAAAA", "/cursor"),  # by time, without one
    ("cursor=AgAAAAAAAAAAAAAAAAAAAAB__________w", "/cursor"),
    ("cursor=%F0%9F%8C%B7", "/cursor"),
]


async def test_a_faulty_parameter_is_named(edge: Api) -> None:
    """A parameter that means nothing is a 422 that points at it, never a guess."""
    for query, pointer in FAULTY:
        response = await edge.client.get(f"/v1/jobs?{query}")
        assert response.status_code == 422, (query, response.text)
        assert [each["pointer"] for each in response.json()["errors"]] == [pointer]


@pytest.mark.parametrize("at", [datetime.min, datetime.max, datetime(1, 6, 1)])  # noqa: DTZ001, DTZ901
async def test_a_made_up_place_at_an_end_of_the_calendar(
    api: Api, at: datetime
) -> None:
    """The list answers for every time in a cursor, on either database."""
    await api.job()
    position = JobPosition(id=str(UUID(int=7)), scheduled_for=at.replace(tzinfo=UTC))
    for descending in (True, False):
        order = JobOrder(sort=JobSort.SCHEDULED_FOR, descending=descending)
        query = {
            "cursor": encode_job_cursor(position, order),
            "sort": "scheduledFor",
            "order": "desc" if descending else "asc",
        }
        answer = await api.client.get("/v1/jobs", params=query)
        assert answer.status_code == 200
        assert len(answer.json()["items"]) == ((at == datetime.max) is descending)  # noqa: DTZ901
