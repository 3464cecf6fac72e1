"""The OpenAPI document: valid, typed, and the same words as the service's."""

import inspect
import re
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from app.api.docs import examples, vocabulary
from app.domain.codes import CODES
from app.domain.jobs.lifecycle import _OUTCOME_NAMES
from app.service.jobs import notices
from app.service.jobs.notices import NOTICES
from tests.api.serving import Api


@pytest.fixture
async def document(edge: Api) -> dict[str, Any]:
    """Give the document as clients get it."""
    found: dict[str, Any] = (await edge.client.get("/openapi.json")).json()
    return found


async def test_the_document_is_valid(document: dict[str, Any]) -> None:
    """The document is valid OpenAPI 3.1, with every schema and example."""
    found = OpenAPIV31SpecValidator(document).iter_errors()
    assert [error.message for error in found] == []


async def test_an_example_may_say_null(document: dict[str, Any]) -> None:
    """PATCH makes a Post Now of a job by it."""
    body = document["paths"]["/v1/jobs/{id}"]["patch"]["requestBody"]
    shown = body["content"]["application/json"]["examples"]
    assert shown == examples.PATCHES
    assert shown["now"]["value"] == {"scheduledFor": None}


async def test_every_time_is_told_to_be_one(document: dict[str, Any]) -> None:
    """A field whose name says when has the format date-time, in and out."""
    named = re.compile(r"At$|^at$|^scheduledFor$|^publishBy$|^until$|^since$|Until$")
    seen = 0
    for schema in document["components"]["schemas"].values():
        for name, field in schema.get("properties", {}).items():
            if named.search(name):
                assert "date-time" in str(field), name
                seen += 1
    assert seen > 20


async def test_no_optional_member_seems_required(document: dict[str, Any]) -> None:
    """Generators take a member with a default for one that is always there."""
    for name, schema in document["components"]["schemas"].items():
        if name.endswith(("Request", "Patch")):
            for field in schema["properties"].values():
                assert "default" not in field, name
    job = document["components"]["schemas"]["JobRequest"]
    assert set(job["required"]) == {"projectId", "assetId", "post"}


async def test_words_are_listed_with_their_meaning(document: dict[str, Any]) -> None:
    """Closed where it is ours to say; open where TikTok may say another one."""
    schemas = document["components"]["schemas"]
    outcome = schemas["AttemptAnswer"]["properties"]["outcome"]
    assert set(outcome["enum"]) == set(_OUTCOME_NAMES.values())
    code = schemas["ErrorAnswer"]["properties"]["code"]
    known, anything = code["anyOf"]
    assert {code for code in CODES if CODES[code].words} == set(known["enum"])
    assert anything == {"type": "string"}
    for word in known["enum"]:
        assert f"| `{word}` | " in code["description"]


async def test_every_notice_has_a_meaning(document: dict[str, Any]) -> None:
    """Every word of a job's fields is listed; a new one has to be described."""
    source = inspect.getsource(notices)
    said = set(re.findall(r'_say\(\s*"([a-z_]+)"', source))
    assert len(said) > 5
    assert said <= set(NOTICES)
    listed = document["components"]["schemas"]["JobAnswer"]["properties"]["noticeCode"]
    assert all(f"| `{code}` | " in listed["description"] for code in NOTICES)


def test_every_outcome_has_a_meaning() -> None:
    """A new one has to be described."""
    assert set(vocabulary.OUTCOMES) == set(_OUTCOME_NAMES.values())


async def test_the_streams_events_are_typed(document: dict[str, Any]) -> None:
    """Each by its name, with the data it carries."""
    answer = document["paths"]["/v1/jobs/stream"]["get"]["responses"]["200"]
    one_of = answer["content"]["text/event-stream"]["schema"]["oneOf"]
    schemas = document["components"]["schemas"]
    events = [schemas[each["$ref"].rpartition("/")[2]] for each in one_of]
    names = [each["properties"]["event"]["const"] for each in events]
    assert names == ["ready", "job", "resync"]
    data = events[1]["properties"]["data"]
    assert data == {"$ref": "#/components/schemas/JobAnswer"}


async def test_operations_are_named_in_one_style(document: dict[str, Any]) -> None:
    """A verb first, in camelCase; what frontends are told begins with on."""
    for item in document["paths"].values():
        for operation in item.values():
            assert re.fullmatch(r"[a-z]+([A-Z][a-zA-Z]*)?", operation["operationId"])
    for item in document["webhooks"].values():
        assert re.fullmatch(r"on([A-Z][a-z]+)+", item["post"]["operationId"])


async def test_what_a_key_may_be_answered_is_declared(document: dict[str, Any]) -> None:
    """Each route under /v1 with a key that has used up its minute, or may only read."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if not path.startswith("/v1"):
                continue
            answers = operation["responses"]
            place = f"{method} {path}"
            busy = answers["429"]["content"]["application/problem+json"]["examples"]
            assert "rate_limited" in busy, place
            if method != "get":
                refused = answers["403"]["content"]["application/problem+json"]
                assert "read_only_key" in refused["examples"], place
