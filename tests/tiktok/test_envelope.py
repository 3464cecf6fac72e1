"""TikTok's envelope: who answered, what they said, and what must not come along."""

import json

import pytest

from app.domain.jobs.outcome import Verdict
from app.tiktok import decode
from app.tiktok.envelope import read_envelope
from app.tiktok.wire import ApiAnswer
from tests.tiktok.answers import answer, fault, refused


def test_flat_errors_are_oauths_alone() -> None:
    """A gateway's flat JSON error is no answer of TikTok's to an init."""
    result = fault(decode.init(answer({"error": "overloaded"}, status=500)))
    assert (result.verdict, result.code) == (Verdict.UNKNOWN, "gateway_error")


@pytest.mark.parametrize("name", ["log_id", "logid"])
def test_log_id(name: str) -> None:
    """Both spellings of what TikTok's support asks for are kept."""
    inside = refused("invalid_params", more={name: "L"})
    assert fault(decode.init(inside)).log_id == "L"
    flat = answer({"error": "invalid_grant", name: "L"})
    assert fault(decode.exchanged(flat)).log_id == "L"


def test_messages_are_one_short_line() -> None:
    """TikTok's message cannot forge log lines or fill the database."""
    message = "bad\r\nlevel=error \x1b[31m" + "x" * 1000
    result = fault(decode.init(refused("invalid_params", more={"message": message})))
    assert result.message.startswith("bad level=error [31mxxx")
    assert len(result.message) == 500


def test_refusals_quote_no_secret() -> None:
    """A refusal that quotes the token does not give it away, not even half of it."""
    token = "act.secret-token"
    body = json.dumps(
        {
            "error": {
                "code": f"bad:{token}",
                "message": "x" * 490 + token,
                "log_id": token,
            }
        }
    )
    result = decode.init(ApiAnswer(status=400, body=body.encode(), secrets=(token,)))
    assert "act.s" not in repr(result)


@pytest.mark.parametrize(
    ("code", "kept"), [("rate_limit_exceeded", 30.0), ("internal_error", None)]
)
def test_retry_after(code: str, kept: float | None) -> None:
    """Only a limit's Retry-After counts; other errors keep to the schedule."""
    body = {"error": {"code": code}}
    result = fault(decode.init(answer(body, status=429, retry_after=30.0)))
    assert result.retry_after == kept


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe\xfa",
        b"{" * 100_000,
        b"[" * 100_000,
        b'{"data": ' + b"9" * 5000 + b"}",
        b'{"error": {"code": NaN}}',
        b'{"error": [], "data": []}',
        b"null",
        b'"ok"',
    ],
)
def test_unreadable_bodies(body: bytes) -> None:
    """No body, however broken, raises or passes for an answer."""
    assert fault(decode.init(answer(body))).verdict is Verdict.UNKNOWN


def test_the_last_of_two_keys_counts() -> None:
    """Duplicate keys do not confuse the reader."""
    body = b'{"error": {"code": "internal_error"}, "error": {"code": "invalid_params"}}'
    assert fault(decode.init(answer(body, status=400))).code == "invalid_params"


@pytest.mark.parametrize("status", [200, 403, 429, 502])
def test_a_log_id_of_the_header_alone(status: int) -> None:
    """TikTok's edge writes pages without an envelope, and tells it there."""
    page = ApiAnswer(status=status, body=b"<html>", log_id="log-edge")
    assert fault(read_envelope(page)).log_id == "log-edge"
