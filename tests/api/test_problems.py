"""Every error is a problem+json that says what programs and people need, no more."""

import zlib
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from structlog.testing import capture_logs

from app.api.app import build_app
from app.api.problems import STATUS, problem_of
from app.domain import errors
from tests.api.serving import Api, client_of

FIELDS = {"type", "title", "status", "detail", "code"}


def every_error(kind: type[errors.SchedulerError]) -> Iterator[Any]:
    """Yield all kinds of error below one."""
    for each in kind.__subclasses__():
        yield each
        yield from every_error(each)


@pytest.mark.parametrize("kind", dict.fromkeys(every_error(errors.SchedulerError)))
def test_every_error_of_the_domain_has_a_status(
    kind: type[errors.SchedulerError],
) -> None:
    """No domain error can end as a 500 because the table forgot it."""
    problem = problem_of(kind())
    assert problem.status_code in {*map(int, STATUS.values())}
    assert problem.status_code != 500


def test_an_unknown_exception_says_nothing() -> None:
    """An unexpected error is a 500, and its text is not shown."""
    problem = problem_of(ValueError("hunter2"))
    assert problem.status_code == 500
    assert b"hunter2" not in problem.body


def test_codes_tell_errors_apart() -> None:
    """Two kinds of error never share a code."""
    codes = [kind.code for kind in every_error(errors.SchedulerError)]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/v1/nothing", 404, "not_found"),
        ("GET", "/v1/jobs/", 404, "not_found"),  # no redirect to somebody's Host
        ("GET", "/v1/jobs/nothing", 404, "not_found"),
        ("PUT", "/v1/jobs", 405, "method_not_allowed"),
        ("DELETE", "/healthz", 405, "method_not_allowed"),
        ("POST", "/v1/jobs", 422, "invalid_request"),
        ("GET", "/v1/jobs?limit=0", 422, "invalid_request"),
    ],
)
async def test_an_error_is_a_problem(
    edge: Api, method: str, path: str, status: int, code: str
) -> None:
    """Every error answer has the same form."""
    response = await edge.client.request(method, path)

    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert set(problem) - {"errors"} == FIELDS
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["title"] == HTTPStatus(status).phrase
    assert ("errors" in problem) == (status == 422)


async def test_a_wrong_method_is_told_the_right_ones(edge: Api) -> None:
    """Allow names every method of the path, whichever route each belongs to."""
    for path, allowed in (
        ("/v1/jobs", "GET, POST"),
        (f"/v1/jobs/{uuid4()}", "GET, PATCH, DELETE"),
        (f"/v1/jobs/{uuid4()}/retry", "POST"),
        ("/cron/tick", "GET, POST"),
        ("/healthz", "GET, HEAD"),
        ("/media/token/v.mp4", "GET, HEAD"),
    ):
        response = await edge.client.options(path)
        assert response.status_code == 405
        assert response.headers["allow"] == allowed


@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "malformed_request"),
        (b"nonsense", "application/json", 400, "malformed_request"),
        (b'{"a": "\xff"}', "application/json", 400, "malformed_request"),
        (b"\xff\xfe\x00", "application/json", 400, "malformed_request"),
        (b"[" * 60_000, "application/json", 400, "malformed_request"),
        (b"1" * 60_000, "application/json", 400, "malformed_request"),
        (b"[]", "application/json", 422, "invalid_request"),
        (b'"text"', "application/json", 422, "invalid_request"),
        (b"null", "application/json", 422, "invalid_request"),
        (b"NaN", "application/json", 422, "invalid_request"),
        (b"", "application/json", 422, "invalid_request"),
        (b"{}", "text/plain", 415, "unsupported_media_type"),
        (b"a=b", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b"{}", "", 415, "unsupported_media_type"),
    ],
)
async def test_a_body_that_cannot_be_read_is_said_so(
    edge: Api, content: bytes, content_type: str, status: int, code: str
) -> None:
    """Broken JSON, broken UTF-8, no JSON at all: a 4xx that says which."""
    headers = {"Content-Type": content_type} if content_type else {}
    response = await edge.client.post("/v1/jobs", content=content, headers=headers)
    assert (response.status_code, response.json()["code"]) == (status, code)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
async def test_a_compressed_body_is_said_to_be_one(edge: Api, encoding: str) -> None:
    """Bytes that are no JSON as they come: the caller hears why."""
    squeezed = zlib.compress(b"{}" * 99, wbits=31 if encoding == "gzip" else 15)
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    refused = await edge.client.post("/v1/jobs", content=squeezed, headers=headers)
    assert refused.status_code == 415
    assert refused.json()["code"] == "unsupported_media_type"
    assert refused.json()["detail"] == (
        "The body is compressed; send it as it is, without Content-Encoding."
    )
    assert refused.headers["accept-encoding"] == "identity"


async def test_a_body_that_is_only_said_to_be_compressed_is_read(edge: Api) -> None:
    """What can be read is, and what is wrong with it is told."""
    headers = {"Content-Encoding": "gzip"}
    refused = await edge.client.post("/v1/jobs", json={}, headers=headers)
    assert refused.status_code == 422


async def test_no_error_repeats_what_was_sent(edge: Api) -> None:
    """A rejected value may be a secret in the wrong field, so it is never echoed."""
    secret = "act.0123456789abcdef"
    body = {
        "projectId": f"{secret}|",
        "assetId": [secret],
        "platform": secret,
        "assetUrl": f"https://u:{secret}@cdn.example.com/",
        "scheduledFor": secret,
        "post": {"mode": secret, "title": {"a": secret}, "isAigc": secret},
        "maxAttempts": secret,
    }
    response = await edge.client.post("/v1/jobs", json=body)
    assert response.status_code == 422
    assert len(response.json()["errors"]) >= 7
    assert secret not in response.text
    query = {"limit": secret, "cursor": secret, "status": secret}
    response = await edge.client.get("/v1/jobs", params=query)
    assert response.status_code == 422
    assert secret not in response.text


async def test_a_thousand_faults_are_not_all_listed(edge: Api) -> None:
    """A body full of nonsense gets a short answer."""
    body = {f"field_{number}": 1 for number in range(1000)}
    response = await edge.client.post("/v1/jobs", json=body)
    assert response.status_code == 422
    assert len(response.json()["errors"]) == 50


async def test_the_unexpected_is_logged_and_not_shown(edge: Api) -> None:
    """A bug is a 500 without detail; its traceback is in the log once, with the id."""
    break_route(edge.app, ValueError("the password is hunter2"))
    with capture_logs() as lines:
        response = await edge.client.get("/broken", headers={"X-Request-ID": "r-1"})

    assert response.status_code == 500
    assert response.json()["code"] == "internal_error"
    assert "hunter2" not in response.text
    assert response.headers["x-request-id"] == "r-1"
    errors_logged = [line for line in lines if line["log_level"] == "error"]
    assert [each["event"] for each in errors_logged] == [
        "a request failed unexpectedly"
    ]
    assert errors_logged[0]["exc_info"] is True


async def test_an_expected_error_is_not_logged_as_one(edge: Api) -> None:
    """A caller's mistake is nobody's alarm."""
    with capture_logs() as lines:
        await edge.client.get("/v1/jobs/nothing")
    assert {line["log_level"] for line in lines} == {"info"}


async def test_a_fault_of_the_house_is_logged_without_its_text(edge: Api) -> None:
    """A 503 leaves a warning that names the cause, whose text may hold a password."""
    error = errors.StoreUnavailable()
    error.__cause__ = OSError("postgresql://u:hunter2@db/x")
    break_route(edge.app, error)
    with capture_logs() as lines:
        response = await edge.client.get("/broken")
    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    assert "hunter2" not in response.text
    (warning,) = (line for line in lines if line["log_level"] == "warning")
    assert (warning["event"], warning["cause"]) == ("database_unavailable", "OSError")
    assert "hunter2" not in str(lines)


async def test_half_an_answer_is_cut_off(edge: Api) -> None:
    """Once an answer began, no second one is put behind it."""

    async def broken(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError("in the middle")

    edge.app.mount("/half", broken)
    with pytest.raises(ValueError, match="in the middle"):
        await edge.client.get("/half/")


async def test_any_status_of_the_framework_is_a_problem(edge: Api) -> None:
    """Even a status nobody thought of keeps the form and shows no inner text."""
    break_route(edge.app, HTTPException(418, detail="inner text"))
    response = await edge.client.get("/broken")
    assert response.status_code == 418
    assert response.headers["content-type"] == "application/problem+json"
    assert "inner text" not in response.text


async def test_a_request_before_the_start_is_no_leak() -> None:
    """Without its services the app answers 500, open to nobody."""
    app = build_app(lifespan=lambda _: pytest.fail("not started"), cors_origins=())
    async with client_of(app, "tts_key") as caller:
        assert (await caller.get("/v1/jobs")).status_code == 500


def break_route(app: FastAPI, error: Exception) -> None:
    """Add a route that raises."""

    @app.get("/broken")
    async def broken() -> None:
        raise error
