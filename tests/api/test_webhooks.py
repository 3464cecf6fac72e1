"""The webhook routes: set up, look, test, replay."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.domain.webhook_endpoint import DeliveryResult, DisabledReason, secret_text
from app.schemas.events import body_of
from app.store.webhooks.deliveries import DeliveryStore
from app.store.webhooks.endpoints import WebhookStore
from tests.api.serving import Api, serving
from tests.support.accounts import VAULT
from tests.support.factories import NOW
from tests.support.outbox import happen, told
from tests.support.patience import PATIENCE_SECONDS
from tests.support.receiver import SECRET, receiving

PATH = "/v1/projects/proj_1/webhook"
URL = "https://app.example.com/hook"
ENDPOINT = {
    "projectId",
    "url",
    "status",
    "disabledReason",
    "disabledAt",
    "failingSince",
    "createdAt",
    "updatedAt",
}


async def put(api: Api, **body: object) -> dict[str, Any]:
    """Put an endpoint and return the answer."""
    response = await api.client.put(PATH, json={"url": URL, **body})
    assert response.status_code in {200, 201}, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def test_an_endpoint_is_put_shown_and_removed(api: Api) -> None:
    """201, then 200; gone, it is not found."""
    created = await api.client.put(PATH, json={"url": URL, "secret": SECRET})
    assert created.status_code == 201
    assert created.json().keys() == ENDPOINT | {"secret"}
    again = await api.client.put(PATH, json={"url": f"{URL}/2"})
    assert again.status_code == 200
    shown = (await api.client.get(PATH)).json()
    assert shown.keys() == ENDPOINT | {"lastDelivery"}
    assert (shown["url"], shown["status"]) == (f"{URL}/2", "active")
    assert (await api.client.delete(PATH)).status_code == 204
    for answer in (await api.client.get(PATH), await api.client.delete(PATH)):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_secret_that_is_made_up_is_shown_once(api: Api) -> None:
    """One that was given never is, and no other answer holds any."""
    first = await put(api)
    assert first["secret"].startswith("whsec_")
    assert (await put(api))["secret"] is None
    assert (await put(api, secret=SECRET))["secret"] is None
    texts = [
        (await api.client.get(PATH)).text,
        (await api.client.get(f"{PATH}/events")).text,
    ]
    for text in texts:
        assert first["secret"] not in text
        assert SECRET not in text


async def test_a_new_secret_can_be_made_up(api: Api) -> None:
    """A new secret differs from the former one; the address stays."""
    first = await put(api)
    rotated = (await api.client.post(f"{PATH}/secret")).json()
    assert rotated["secret"].startswith("whsec_")
    assert rotated["secret"] != first["secret"]
    assert rotated["url"] == URL


async def test_a_new_secret_takes_no_new_address_away(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address that is put while a secret is made up stays."""
    newest = (await put(api))["url"]
    getting = WebhookStore.get

    async def get(self: WebhookStore, project_id: str, *, now: datetime) -> Any:  # noqa: ANN401
        nonlocal newest
        found = await getting(self, project_id, now=now)
        newest = (await put(api, url=f"{URL}/new"))["url"]
        return found

    monkeypatch.setattr(WebhookStore, "get", get)
    assert (await api.client.post(f"{PATH}/secret")).status_code == 200
    monkeypatch.undo()
    assert (await api.client.get(PATH)).json()["url"] == newest


@pytest.mark.parametrize("secret", [SECRET, SECRET[6:], secret_text(bytes(64))])
async def test_common_forms_of_a_secret_are_taken(edge: Api, secret: str) -> None:
    """A secret is taken with and without whsec_, up to 64 bytes."""
    assert (await put(edge, secret=secret))["secret"] is None


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"secret": SECRET}, "/url"),
        ({"url": 5}, "/url"),
        ({"url": "http://app.example.com/"}, "/url"),
        ({"url": "https://10.0.0.1/"}, "/url"),
        ({"url": "https://localhost/"}, "/url"),
        ({"url": "https://app.example.com:8080/"}, "/url"),
        ({"url": URL, "secret": "short"}, "/secret"),
        ({"url": URL, "secret": ""}, "/secret"),
        ({"url": URL, "secret": "s" * 300}, "/secret"),
        ({"url": URL, "events": []}, "/events"),
    ],
)
async def test_nonsense_is_refused(
    edge: Api, body: dict[str, object], pointer: str
) -> None:
    """An invalid endpoint is refused with a pointer; the answer quotes no secret."""
    response = await edge.client.put(PATH, json=body)
    assert response.status_code == 422
    assert [each["pointer"] for each in response.json()["errors"]] == [pointer]
    assert str(body.get("secret") or "nothing") not in response.text


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", PATH, {"url": URL}),
        ("GET", PATH, None),
        ("DELETE", PATH, None),
        ("POST", f"{PATH}/secret", None),
        ("POST", f"{PATH}/test", None),
        ("GET", f"{PATH}/events", None),
        ("POST", f"{PATH}/replay", {"since": "2026-04-09T12:00:00Z"}),
    ],
)
async def test_another_projects_webhook_is_not_found(
    edge: Api, method: str, path: str, body: object
) -> None:
    """The same answer as if there were none."""
    await put(edge)
    stranger = await edge.caller("proj_2")
    response = await stranger.request(method, path, json=body)
    assert (response.status_code, response.json()["code"]) == (404, "not_found")
    assert (await edge.client.get(PATH)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"eventId": "one", "since": "2026-04-09T12:00:00Z"},
        {"until": "2026-04-09T12:00:00Z"},
        {"eventId": "one", "until": "2026-04-09T12:00:00Z"},
        {"since": "2026-04-09T12:00:00"},
    ],
)
async def test_a_replay_names_one_event_or_a_time(edge: Api, body: object) -> None:
    """Anything else is refused."""
    await put(edge)
    response = await edge.client.post(f"{PATH}/replay", json=body)
    assert response.status_code == 422


async def test_a_replay_counts_what_is_sent_again(api: Api) -> None:
    """By id or by time; an unknown event is not found."""
    await put(api)
    await happen(api.database, now=api.clock.now())
    (event,) = await told(api.database)
    for body in ({"eventId": event["id"]}, {"since": "2026-04-09T12:00:00Z"}):
        response = await api.client.post(f"{PATH}/replay", json=body)
        assert (response.status_code, response.json()) == (202, {"replayed": 1})
    unknown = await api.client.post(f"{PATH}/replay", json={"eventId": "nothing"})
    assert unknown.status_code == 404


async def test_events_are_listed_page_by_page(api: Api) -> None:
    """Newest first, with how far each got, and without what it carries."""
    await put(api)
    jobs = [await happen(api.database, now=api.clock.now()) for _ in range(3)]
    first = (await api.client.get(f"{PATH}/events", params={"limit": 2})).json()
    cursor = {"cursor": first["nextCursor"]}
    second = (await api.client.get(f"{PATH}/events", params=cursor)).json()
    items = first["items"] + second["items"]
    assert [item["jobId"] for item in items] == jobs[::-1]
    assert second["nextCursor"] is None
    assert items[0].keys() == {
        "id",
        "type",
        "jobId",
        "createdAt",
        "status",
        "attempts",
        "nextAttemptAt",
        "lastAttemptAt",
        "lastStatus",
        "lastError",
    }
    assert (items[0]["type"], items[0]["status"]) == ("job.posted", "pending")


@pytest.mark.parametrize("status", [204, 500])
async def test_a_test_event_tells_what_came_back(
    database_url: str, status: int
) -> None:
    """It is signed like any other, listed, and not tried again."""
    async with (
        receiving() as receiver,
        serving(database_url, allow_private_urls=True) as api,
    ):
        receiver.answers.append(status)
        await put(api, url=receiver.url, secret=SECRET)
        answer = (await api.client.post(f"{PATH}/test")).json()
        (received,) = receiver.received
        assert received.headers["webhook-signature"].startswith("v1,")
        assert answer == {
            "eventId": received.id,
            "delivered": status == 204,
            "responseStatus": status,
            "error": None if status == 204 else "it answered 500",
        }
        last = (await api.client.get(PATH)).json()["lastDelivery"]
        assert (last["eventId"], last["type"]) == (received.id, "webhook.test")
        assert last["responseStatus"] == status


async def test_a_disabled_endpoint_says_why(api: Api) -> None:
    """Until it is put again, a replay is refused."""
    await put(api)
    await happen(api.database, now=api.clock.now())
    endpoint, _ = await api.services.webhooks.get("proj_1", scope=None)
    store = DeliveryStore(
        api.database, VAULT, lease=timedelta(seconds=30), render=body_of
    )
    await store.disable(endpoint, DisabledReason.GONE, now=api.clock.now())
    shown = (await api.client.get(PATH)).json()
    assert (shown["status"], shown["disabledReason"]) == ("disabled", "gone")
    assert shown["disabledAt"] is not None
    replay = {"since": "2026-04-09T12:00:00Z"}
    refused = await api.client.post(f"{PATH}/replay", json=replay)
    assert refused.status_code == 409
    assert refused.json()["code"] == "webhook_disabled"
    rotated = (await api.client.post(f"{PATH}/secret")).json()
    assert (rotated["status"], rotated["disabledReason"]) == ("disabled", "gone")
    enabled = await put(api)
    assert (enabled["status"], enabled["disabledAt"]) == ("active", None)
    accepted = await api.client.post(f"{PATH}/replay", json=replay)
    assert accepted.json() == {"replayed": 1}


async def test_tests_of_a_project_run_one_at_a_time(api: Api) -> None:
    """A second one meanwhile is 429; another project's and a later one are not."""
    began, gate = asyncio.Event(), asyncio.Event()

    async def send(*_: object, **__: object) -> DeliveryResult:
        began.set()
        await gate.wait()
        return DeliveryResult(at=NOW, status=200, error=None)

    for project in ("proj_1", "proj_2"):
        await api.client.put(f"/v1/projects/{project}/webhook", json={"url": URL})
    api.services.webhooks.sender.send = send  # type: ignore[method-assign]
    first = asyncio.create_task(api.client.post(f"{PATH}/test"))
    await began.wait()
    async with asyncio.timeout(PATIENCE_SECONDS):
        second = await api.client.post(f"{PATH}/test")
    assert (second.status_code, second.json()["code"]) == (429, "rate_limited")
    assert second.headers["retry-after"] == "1"
    other = asyncio.create_task(api.client.post("/v1/projects/proj_2/webhook/test"))
    gate.set()
    assert (await other).status_code == (await first).status_code == 200
    assert (await api.client.post(f"{PATH}/test")).status_code == 200
