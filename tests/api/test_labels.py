"""What a caller says of a job in its own words, and until when it may go out."""

from typing import Any

import pytest

from app.domain.jobs.job import JobStatus
from app.store.accounts.account_store import AccountStore
from tests.api.serving import Api
from tests.support.accounts import VAULT, new_account
from tests.support.factories import (
    FAILED,
    NOW,
    POSTED,
    PROCESSING,
    RETRYING,
    SCHEDULED,
    store_job,
)

LABELS = {"externalId": "order-77", "metadata": {"campaign": "spring"}}
LATER = "2026-04-09T18:00:00.000Z"
TIME = "2026-04-09T12:00:00.000Z"


async def test_a_callers_own_words_come_back(api: Api) -> None:
    """Stored, shown, listed; null and left out mean none."""
    job = await api.job(**LABELS, publishBy=LATER, scheduledFor=TIME)
    shown = (await api.client.get(f"/v1/jobs/{job['id']}")).json()
    assert {name: shown[name] for name in LABELS} == LABELS
    assert shown["publishBy"] == LATER
    plain = await api.job(assetId="asset_10", externalId=None, metadata=None)
    assert (plain["externalId"], plain["metadata"]) == (None, {})
    assert plain["publishBy"] is None


@pytest.mark.parametrize("status", [SCHEDULED, PROCESSING, RETRYING, POSTED, FAILED])
async def test_own_words_may_be_changed_in_every_state(
    api: Api, status: JobStatus
) -> None:
    """Labels are no part of the post, so they may change in every state."""
    job = await store_job(api.database, status)
    answer = await api.client.patch(f"/v1/jobs/{job.id}", json=LABELS)
    assert answer.status_code == 200
    assert {name: answer.json()[name] for name in LABELS} == LABELS
    assert answer.json()["status"] == status
    cleared = await api.client.patch(f"/v1/jobs/{job.id}", json={"externalId": None})
    assert cleared.json()["externalId"] is None
    assert cleared.json()["metadata"] == LABELS["metadata"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"externalId": "x" * 256}, "/externalId"),
        ({"externalId": ""}, "/externalId"),
        ({"metadata": {f"k{n}": "v" for n in range(17)}}, "/metadata"),
        ({"metadata": {"k" * 65: "v"}}, "/metadata"),
        ({"metadata": {"k": "v" * 513}}, "/metadata/k"),
        ({"metadata": {"k": 1}}, "/metadata/k"),
        ({"publishBy": TIME, "scheduledFor": TIME}, "/publishBy"),
        ({"publishBy": "2026-01-01T00:00:00Z", "scheduledFor": None}, "/publishBy"),
        # Stored in milliseconds, the two are the same.
        ({"publishBy": f"{TIME[:-1]}9Z", "scheduledFor": TIME}, "/publishBy"),
    ],
)
async def test_what_is_too_much_is_refused(
    api: Api, body: dict[str, Any], pointer: str
) -> None:
    """Too many or too long labels are refused with a pointer."""
    answer = await api.post_job(**body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"].startswith(pointer)


async def test_the_last_moment_stays_behind_the_time(api: Api) -> None:
    """A PATCH that crosses the two is refused, whichever of them it moves."""
    job = await api.job(publishBy=LATER, scheduledFor=TIME)
    url = f"/v1/jobs/{job['id']}"
    for body in ({"scheduledFor": LATER}, {"publishBy": TIME}):
        answer = await api.client.patch(url, json=body)
        assert answer.json()["errors"][0]["pointer"] == "/publishBy"
    freed = {"scheduledFor": LATER, "publishBy": None}
    assert (await api.client.patch(url, json=freed)).json()["publishBy"] is None


async def test_a_job_belongs_to_whoever_is_connected(api: Api) -> None:
    """Single, scheduled and in a pruned past: each insert binds it."""
    accounts = AccountStore(api.database, VAULT)
    assert (await api.job(assetId="before"))["openId"] is None
    await accounts.put(new_account(open_id="open_A"), now=NOW)
    times = (None, "2030-01-01T00:00:00Z", "2020-01-01T00:00:00Z")
    for n, time in enumerate(times):
        job = await api.job(assetId=f"asset_{n}", scheduledFor=time)
        assert job["openId"] == "open_A"


@pytest.mark.parametrize(
    "time", ["0001-01-01T00:00:00Z", "1999-12-31T23:59:59Z", "2101-01-01T00:00:00Z"]
)
async def test_a_time_that_no_calendar_of_ours_carries(api: Api, time: str) -> None:
    """422 on POST and on PATCH; Go's unset time is one of them."""
    assert (await api.post_job(scheduledFor=time)).status_code == 422
    job = await api.job()
    url = f"/v1/jobs/{job['id']}"
    for name in ("scheduledFor", "publishBy"):
        assert (await api.client.patch(url, json={name: time})).status_code == 422


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("https://cdn.example.com/vidéo.mp4", "https://cdn.example.com/vid%C3%A9o.mp4"),
        ("https://bücher.example/a.mp4", "https://xn--bcher-kva.example/a.mp4"),
        # As browsers have it; strasse.example is somebody else's.
        ("https://Straße.example/ß", "https://xn--strae-oqa.example/%C3%9F"),
        ("https://例え。jp/a.mp4", "https://xn--r8jz45g.jp/a.mp4"),
        (
            "https://cdn.example.com/a%20b.mp4?k=ü&s=a%2Fb",
            "https://cdn.example.com/a%20b.mp4?k=%C3%BC&s=a%2Fb",
        ),
    ],
)
async def test_an_address_beyond_ascii_has_one_form(
    api: Api, given: str, stored: str
) -> None:
    """It is stored and used as it goes over the wire."""
    job = await api.job(assetUrl=given)
    assert job["assetUrl"] == stored
    url = f"/v1/jobs/{job['id']}"
    changed = await api.client.patch(url, json={"assetUrl": f"{given}#x"[:-2]})
    assert changed.json()["assetUrl"] == stored


@pytest.mark.parametrize(
    "label", ["ü" * 70, "exa\u200dmple", "\u202eexample", "exa\u2100mple"]
)
async def test_an_address_without_such_a_form_is_refused(api: Api, label: str) -> None:
    """A host of which IDNA knows nothing, or which is another one than it looks."""
    answer = await api.post_job(assetUrl=f"https://{label}.example/v.mp4")
    assert answer.status_code == 422
    (wrong,) = answer.json()["errors"]
    assert wrong["pointer"] == "/assetUrl"
    assert label not in wrong["detail"]  # what a value was is said nowhere
