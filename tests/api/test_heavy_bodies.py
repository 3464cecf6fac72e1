"""Bodies made to be costly: refused, and at a bounded cost for everybody else."""

import difflib
from collections.abc import Callable

import pytest

from app.schemas import invalid
from tests.api.serving import Api

JSON = {"Content-Type": "application/json"}
JOB, BATCH, VALIDATE = "/v1/jobs", "/v1/jobs/batch", "/v1/jobs/validate"
ROOM = {JOB: 60_000, VALIDATE: 60_000, BATCH: 1_000_000}

DEEP: dict[str, Callable[[int], bytes]] = {
    "open lists": lambda size: b"[" * size,
    "open objects": lambda size: b'{"a":' * (size // 5),
    "lists": lambda size: b"[" * (size // 2) + b"]" * (size // 2),
    "items": lambda size: b'{"items":%b%b}' % (b"[" * (size // 3), b"]" * (size // 3)),
    "one number": lambda size: b'{"a":%b}' % (b"9" * (size - 10)),
}


@pytest.mark.parametrize("shape", DEEP)
@pytest.mark.parametrize("path", ROOM)
async def test_what_is_too_deep_or_too_large_to_read_is_no_json(
    edge: Api, path: str, shape: str
) -> None:
    """400 for nesting beyond all reason and for numbers that no machine has."""
    answer = await edge.client.post(path, content=DEEP[shape](ROOM[path]), headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")


@pytest.mark.parametrize("path", ROOM)
async def test_many_unknown_fields_cost_no_more_than_a_few(
    edge: Api, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty are named; what each of the others may have meant is not looked for."""
    looked = list[str]()

    def close_matches(word: str, *_: object, **__: object) -> list[str]:
        looked.append(word)
        return []

    monkeypatch.setattr(difflib, "get_close_matches", close_matches)
    fields = b",".join(b'"k%d":1' % number for number in range(ROOM[path] // 12))
    answer = await edge.client.post(path, content=b"{%b}" % fields, headers=JSON)
    found = answer.json()
    wrong = found["problems"] if path == VALIDATE else found["errors"]
    assert answer.status_code == (200 if path == VALIDATE else 422)
    assert len(wrong) == invalid.MOST
    assert 0 < len(looked) <= 2 * invalid.MOST


async def test_nobody_looks_for_what_a_long_name_may_have_meant(
    edge: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A very long field name gets no suggestion: comparing takes too long."""

    def close_matches(*_: object, **__: object) -> list[str]:
        raise AssertionError("compared")

    monkeypatch.setattr(difflib, "get_close_matches", close_matches)
    body = b'{"%b":1}' % (b"scheduledFor" * 4000)
    answer = await edge.client.post(JOB, content=body, headers=JSON)
    assert answer.status_code == 422


async def test_many_unknown_parameters_cost_no_more_than_a_few(
    edge: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty are named; what each of the others may have meant is not looked for."""
    looked = list[str]()

    def close_matches(word: str, *_: object, **__: object) -> list[str]:
        looked.append(word)
        return []

    monkeypatch.setattr(difflib, "get_close_matches", close_matches)
    query = "&".join(f"k{number}=1" for number in range(3000))
    answer = await edge.client.get(f"{JOB}?{query}")
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == invalid.MOST
    assert len(looked) == invalid.MOST
