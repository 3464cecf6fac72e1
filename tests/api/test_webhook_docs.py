"""The OpenAPI document tells of every event as it is sent."""

import json
from typing import Any

import pytest

from app.domain.events import EndpointTest, EventPayload, EventType
from app.schemas.events import body_of
from tests.api.serving import Api
from tests.domain.jobs.sample import NOW, a_job


def schema_of(document: dict[str, Any], kind: EventType) -> dict[str, Any]:
    """Return the schema of an event's body."""
    operation = document["webhooks"][kind]["post"]
    content = operation["requestBody"]["content"]["application/json"]
    return named(document, content["schema"])


def named(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference."""
    name = schema["$ref"].rpartition("/")[2]
    found: dict[str, Any] = document["components"]["schemas"][name]
    return found


async def test_every_event_is_described(edge: Api) -> None:
    """Each has a summary and the type that it is sent with."""
    document = edge.app.openapi()
    assert sorted(document["webhooks"]) == sorted(EventType)
    for kind in EventType:
        assert document["webhooks"][kind]["post"]["summary"]
        about = schema_of(document, kind)["properties"]["type"]
        assert kind in about.get("enum", [about.get("const")])


@pytest.mark.parametrize(
    ("kind", "told"),
    [(EventType.JOB_POSTED, a_job()), (EventType.TEST, EndpointTest("proj_1"))],
)
async def test_what_is_sent_is_what_is_described(
    edge: Api, kind: EventType, told: EventPayload
) -> None:
    """Field by field, as the API's own answers."""
    document = edge.app.openapi()
    schema = schema_of(document, kind)
    body = json.loads(body_of(kind, NOW, told))
    assert body.keys() == schema["properties"].keys()
    data = named(document, schema["properties"]["data"])
    assert body["data"].keys() == data["properties"].keys()
