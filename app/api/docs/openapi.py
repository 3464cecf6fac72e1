"""Complete the OpenAPI document, for /docs and for client generators."""

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic.alias_generators import to_camel

from app.api.auth import ASKS_TIKTOK, GUARDED
from app.api.docs import examples, vocabulary
from app.api.docs.declared import declared
from app.api.docs.events import add_stream, add_webhooks
from app.domain.errors import NotForBrowsers, ReadOnlyKey, TooManyRequests
from app.schemas.invalid import Problem

TAGS: Final = (
    (
        "Jobs",
        "One post to one TikTok account, sent once: schedule, watch, edit.",
    ),
    ("Accounts", "One TikTok account per project: connect it, and ask what it may do."),
    ("Browsers", "A web page gets a token for its project; never give it a key."),
    ("Holds", "Let due jobs wait, of one project or of all, and go on again."),
    ("Cron", "For platforms without long-running processes: one call runs due jobs."),
    ("Webhooks", "Events that TikTok sends us, and events that we send you."),
    ("Operations", "For operators."),
)
# What the docs page fills in for the stream, so that trying it out shows events.
_TRIED: Final = {"projectId": "proj_1", "maxSeconds": 10}

DESCRIPTION: Final = """\
Posts videos to TikTok at the time their owner chose: **never twice, never lost, and
never "posted" when it is not true.**

**Try it here.** Press *Authorize* and give a key from `tiktok-scheduler keys create`.
With the simulator running (`tiktok-scheduler sandbox`) and `ALLOW_PRIVATE_URLS=true`,
store its account under *Accounts*, then post its video with the example *On the
simulator*.

**What a job goes through.** `scheduled` until its time, `processing` while an attempt
runs or TikTok has the video, `retrying` between attempts; it ends `posted`, or `failed`
with a `failureReason`. `notice` and `lastError.userMessage` are written for the person
whose post it is; `lastError.code` and `logId` are for support.

**Sending twice is safe.** The same project, asset and time is the same job: 200 and
`Idempotent-Replayed: true` instead of 201; `Idempotent-Replayed-Differs` names the
fields that differ. A second Post Now finds the first one until that has ended; with an
`Idempotency-Key` it finds it as long as the job exists.

**Times** are RFC 3339 with an offset, and come back as UTC with milliseconds, as
JavaScript's `toISOString()` writes them. **Ids** of TikTok's are strings: they exceed
2⁵³.

**Errors** are `application/problem+json`. Programs use `code`, which is stable;
`detail` is for people. A 503 and a 429 say in `Retry-After` when to ask again.
`X-Request-ID` is in every answer and in every log line of its request.

**A key** is good for one project or for all. Anything of another project is answered
with 404, as if it did not exist.
"""


def install(app: FastAPI) -> None:
    """Replace FastAPI's document with our completed one."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _name_operations(app)
            document = generate()
            _complete(document)
            _show_nulls(document)
        return generate()

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own recipe


def _name_operations(app: FastAPI) -> None:
    """Name each operation like its function: generated clients call it so."""
    for route in app.routes:
        if isinstance(route, APIRoute):
            route.operation_id = route.operation_id or to_camel(route.name)


def _complete(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    template = "#/components/schemas/{model}"
    problem = Problem.model_json_schema(ref_template=template)
    schemas.update(problem.pop("$defs"), Problem=problem)
    add_webhooks(document)
    add_stream(document)
    vocabulary.describe(schemas)
    _declare_refusals(document)
    for name, example in examples.MODELS.items():
        schemas[name]["examples"] = [example]
    for answer in _answers(document):
        _say_what_it_is(answer, schemas)
    for parameter in _parameters(document):
        parameter["schema"] = _without_null(parameter["schema"])
    for parameter in document["paths"]["/v1/jobs/stream"]["get"]["parameters"]:
        if parameter["name"] in _TRIED:
            parameter["example"] = _TRIED[parameter["name"]]
    for field in _fields(document):
        field.pop("title", None)  # "Scheduledfor" says less than the field's name
    for name, schema in schemas.items():
        if name.endswith(("Request", "Patch")):
            _without_defaults(schema)


def _declare_refusals(document: dict[str, Any]) -> None:
    """Declare what a key is answered before any route sees its request."""
    busy = declared(TooManyRequests())
    forbidden = declared(ReadOnlyKey, NotForBrowsers)
    for path, operations in document["paths"].items():
        for method, operation in operations.items() if path.startswith(GUARDED) else ():
            reads = method == "get" and not path.endswith(ASKS_TIKTOK)
            for status, answer in (busy if reads else busy | forbidden).items():
                answers = operation["responses"]
                known = answers.setdefault(str(status), deepcopy(answer))["content"]
                for kind, content in answer["content"].items():
                    known[kind]["examples"] |= content["examples"]


def _without_defaults(schema: dict[str, Any]) -> None:
    """Describe defaults in words: generators make fields with defaults required."""
    for field in schema["properties"].values():
        if "default" in field:
            default = json.dumps(field.pop("default"))
            text = field.get("description")
            before = f"{text.rstrip('.')}. " if text else ""
            field["description"] = f"{before}Default: {default}"


def _show_nulls(document: dict[str, Any]) -> None:
    """Restore nulls in examples, which FastAPI drops."""
    content = document["paths"]["/v1/jobs/{id}"]["patch"]["requestBody"]["content"]
    content["application/json"]["examples"] = deepcopy(examples.PATCHES)


def _say_what_it_is(answer: dict[str, Any], schemas: dict[str, Any]) -> None:
    """Replace "Successful Response" with the answer's own description."""
    schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
    name = schema.get("$ref", "").rpartition("/")[2]
    if name in schemas and answer["description"] == "Successful Response":
        answer["description"] = schemas[name]["description"]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Remove null from a parameter, which cannot be sent."""
    kinds = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if len(kinds) != 1:
        return schema
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return {**kinds[0], **rest}


def _answers(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        for operation in path.values():
            yield from operation["responses"].values()


def _fields(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield everything that has a name: properties and parameters."""
    for schema in document["components"]["schemas"].values():
        yield from schema.get("properties", {}).values()
    for parameter in _parameters(document):
        yield parameter["schema"]


def _parameters(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        for operation in path.values():
            yield from operation.get("parameters", ())
