"""The problems that routes declare for the OpenAPI document, each with an example."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from app.api.problems import (
    HTTP_CODES,
    MEDIA_TYPE,
    ProblemResponse,
    described,
    http_problem,
)
from app.domain import errors

Kind = int | type[errors.SchedulerError] | errors.SchedulerError | ProblemResponse
"""A status, or an error with its own status."""

_USUAL: Final[Mapping[int, errors.SchedulerError]] = {
    409: errors.Conflict(),
    422: errors.InvalidInput(
        errors.FieldError("/scheduledFor", "must be an RFC 3339 time with an offset")
    ),
    429: errors.QuotaExhausted(),
    502: errors.TikTokUnavailable(),
    503: errors.StoreUnavailable(),
}
"""The usual problem of each status, for the OpenAPI document."""


def declared(*kinds: Kind) -> dict[int | str, dict[str, Any]]:
    """Declare problems for a route's ``responses``."""
    found: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        example = json.loads(bytes(_sample(kind).body))
        status = example["status"]
        response = found.setdefault(status, _declaration(HTTPStatus(status)))
        response["content"][MEDIA_TYPE]["examples"][example["code"]] = {
            "summary": example["code"],
            "value": example,
        }
    return found


def _declaration(status: HTTPStatus) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        "description": status.phrase,
        "content": {MEDIA_TYPE: {"schema": schema, "examples": {}}},
    }


def _sample(kind: Kind) -> ProblemResponse:
    if isinstance(kind, ProblemResponse):
        return kind
    if isinstance(kind, int) and kind in HTTP_CODES:
        return http_problem(kind)
    if isinstance(kind, int):
        return described(_USUAL[kind])
    return described(kind if isinstance(kind, errors.SchedulerError) else kind())
