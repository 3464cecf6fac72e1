"""Describe webhooks and stream events in the OpenAPI document.

Written by hand: as FastAPI's request bodies, the answers in them would become separate
schemas with uglier names.
"""

import re
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from app.domain.events import EventType
from app.schemas.events import (
    AccountEvent,
    JobEvent,
    StreamJobEvent,
    StreamReadyEvent,
    StreamResyncEvent,
    TestEvent,
)

_JOB_NEWS: Final = {
    EventType.JOB_POSTED: "TikTok has published the post, or put it into the inbox",
    EventType.JOB_FAILED: "A job ended without a post, for any reason",
    EventType.JOB_UNCONFIRMED: "Nobody knows whether a failed job was posted",
    EventType.JOB_RETRYING: "An attempt failed, and the next one is scheduled",
    EventType.JOB_AT_RISK: "Something would keep a scheduled job from being posted",
    EventType.JOB_POST_AVAILABLE: "A post's public id or URL became known",
    EventType.JOB_POST_WITHDRAWN: "A post is no longer public",
}
_OTHER_NEWS: Final = {
    EventType.ACCOUNT_CHANGED: (
        "Another person's TikTok account was connected",
        AccountEvent,
    ),
    EventType.ACCOUNT_RECONNECT_REQUIRED: (
        "An account has to be connected again",
        AccountEvent,
    ),
    EventType.TEST: ("A test that was asked for", TestEvent),
}
_TEMPLATE: Final = "#/components/schemas/{model}"
_HEADERS: Final = {
    "webhook-id": ("string", "The same at every try of an event"),
    "webhook-timestamp": ("integer", "The time of this try, in Unix seconds"),
    "webhook-signature": (
        "string",
        (
            "`v1,` and the HMAC-SHA256 of `id.timestamp.body` in base64; while a"
            " replaced secret also signs, several of them, separated by spaces"
        ),
    ),
}


def add_webhooks(document: dict[str, Any]) -> None:
    """Add the webhooks for frontends to an OpenAPI document."""
    _add_schemas(document, JobEvent, AccountEvent, TestEvent)
    news = {kind: (summary, JobEvent) for kind, summary in _JOB_NEWS.items()}
    document["webhooks"] = {
        str(kind): {"post": _operation(kind, summary, model.__name__)}
        for kind, (summary, model) in (news | _OTHER_NEWS).items()
    }


def add_stream(document: dict[str, Any]) -> None:
    """Describe each event of the stream.

    OpenAPI 3.1 cannot describe a stream: the schema is that of one event, as
    `EventSource` gives it, with its data parsed.
    """
    models = (StreamReadyEvent, StreamJobEvent, StreamResyncEvent)
    _add_schemas(document, *models)
    operation = document["paths"]["/v1/jobs/stream"]["get"]
    responses = {str(key): value for key, value in operation["responses"].items()}
    content = responses["200"]["content"]["text/event-stream"]
    content.pop("itemSchema", None)  # OpenAPI 3.2
    content["schema"] = {
        "description": "One event after the other, each one of these",
        "oneOf": [{"$ref": _TEMPLATE.format(model=each.__name__)} for each in models],
    }


def _add_schemas(document: dict[str, Any], *models: type[BaseModel]) -> None:
    _, made = models_json_schema(
        [(model, "serialization") for model in models], ref_template=_TEMPLATE
    )
    schemas = document["components"]["schemas"]
    for name, schema in made["$defs"].items():
        schemas.setdefault(name, schema)


def _operation(kind: EventType, summary: str, schema: str) -> dict[str, Any]:
    content = {"schema": {"$ref": _TEMPLATE.format(model=schema)}}
    return {
        "tags": ["Webhooks"],
        "operationId": f"on{_camel(kind)}",
        "summary": summary,
        "description": "Signed as in the Standard Webhooks specification.",
        "parameters": [_header(name) for name in _HEADERS],
        "requestBody": {"required": True, "content": {"application/json": content}},
        "responses": {
            "2XX": {"description": "Received; the body is not read"},
            "410": {"description": "Never call this address again"},
        },
        "security": [],
    }


def _camel(kind: EventType) -> str:
    return "".join(part.title() for part in re.split(r"[._]", kind))


def _header(name: str) -> dict[str, Any]:
    kind, text = _HEADERS[name]
    return {
        "name": name,
        "in": "header",
        "required": True,
        "description": text,
        "schema": {"type": kind},
    }
