"""Change single members of an answer, and leave the rest of it true."""

import json
from dataclasses import replace
from typing import Any, Literal, assert_never

from app.sandbox.answers import LOG_ID_HEADER, Answer, encode
from app.sandbox.faults import Reshape


def reshaped(answer: Answer, fault: Reshape, *, flat: bool) -> Answer:
    """Leave out, replace or nest members of the payload; errors stay as they are."""
    if not answer.ok:
        return answer
    body: dict[str, Any] = json.loads(answer.body)
    payload = body if flat else body["data"]
    kept = {name: value for name, value in payload.items() if name not in fault.omit}
    payload = kept | fault.change
    if not flat:
        body["data"] = payload
    else:
        body = {"data": payload} if fault.nested else payload
    return replace(answer, body=encode(body))


def with_log_id_in(answer: Answer, where: Literal["both", "header", "none"]) -> Answer:
    """Leave the log id out of the body, or of the header as well."""
    match where:
        case "both":
            return answer
        case "header":
            return _without_log_id(answer)
        case "none":
            headers = {
                name: value
                for name, value in answer.headers.items()
                if name != LOG_ID_HEADER
            }
            return replace(_without_log_id(answer), headers=headers)
        case _:
            assert_never(where)


def _without_log_id(answer: Answer) -> Answer:
    body: dict[str, Any] = json.loads(answer.body)
    error = body.get("error")
    (error if isinstance(error, dict) else body).pop("log_id", None)
    return replace(answer, body=encode(body))
