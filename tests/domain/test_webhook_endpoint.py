"""Secrets, signatures, addresses and times of webhooks; the library is the judge."""

import json
from base64 import b64encode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from app.domain.webhook_endpoint import (
    next_try,
    plain_secret,
    problem_with_endpoint,
    problem_with_secret,
    secret_text,
    signatures,
)

NOW = datetime(2026, 4, 9, 12, tzinfo=UTC)
STEPS = (5.0, 300.0, 1800.0)
KEY = bytes(range(24))


@given(key=st.binary(min_size=24, max_size=64), body=st.text().map(str.encode))
def test_the_reference_library_signs_alike(key: bytes, body: bytes) -> None:
    """Byte for byte, whatever the secret and the body."""
    secret = secret_text(key)
    ours = signatures(body, event_id="id", timestamp=1, secrets=(secret,))
    moment = datetime.fromtimestamp(1, UTC)
    assert ours == Webhook(secret).sign("id", moment, body.decode())


def test_each_of_several_secrets_verifies() -> None:
    """The library takes the one signature that it knows."""
    body, now = json.dumps({"type": "job.posted"}).encode(), datetime.now(UTC)
    secrets = tuple(secret_text(bytes([n]) * 32) for n in range(2))
    headers = {
        "webhook-id": "id",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signatures(
            body, event_id="id", timestamp=int(now.timestamp()), secrets=secrets
        ),
    }
    for secret in secrets:
        assert Webhook(secret).verify(body, headers) == {"type": "job.posted"}


@pytest.mark.parametrize(
    "text",
    [
        secret_text(KEY),
        secret_text(bytes(64)),
        b64encode(KEY).decode(),
        secret_text(bytes(25)),
        secret_text(bytes(25)).rstrip("="),
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ],
)
def test_secrets_are_taken_with_and_without_their_prefix(text: str) -> None:
    """Prefix and padding are optional; libraries read what we keep alike."""
    assert problem_with_secret(text) is None
    assert plain_secret(plain_secret(text)) == plain_secret(text)
    assert plain_secret(text).startswith("whsec_")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        "hunter2",
        "a" * 33,  # one character too many for base64
        secret_text(bytes(23)),
        secret_text(bytes(65)),
        "correct horse battery staple, and more",
        urlsafe_b64encode(b"\xff" * 24).decode(),
        "ü" * 40,
        secret_text(KEY) + "\n",
    ],
)
def test_what_is_no_secret_is_refused(text: str) -> None:
    """Too short, too long, or read differently by libraries: refused."""
    problem = problem_with_secret(text)
    assert problem is not None
    assert not text or text not in problem


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("https://app.example.com/hook?a=b", True),
        ("https://app.example.com:443/hook", True),
        ("https://app.example.com:8443/hook", False),
        ("http://app.example.com/hook", False),
        ("https://127.0.0.1/hook", False),
        ("https://localhost/hook", False),
        ("https://user:pass@example.com/", False),
        ("https://bücher.example/hook", False),
        ("https://xn--bcher-kva.example/hook", True),
        ("ftp://example.com/", False),
        ("hook", False),
    ],
)
def test_only_public_https_addresses_are_called(url: str, *, taken: bool) -> None:
    """Endpoints are vetted as assets are; only port 443 is called."""
    assert (problem_with_endpoint(url) is None) is taken


def test_tests_may_call_anything() -> None:
    """Where private addresses are allowed, so are http and any port."""
    for url in ("http://127.0.0.1:9000/hook", "http://localhost:1/"):
        assert problem_with_endpoint(url, allow_private=True) is None


def test_every_step_is_one_further_try() -> None:
    """Each step is one further try; after the last there is none."""
    times = [next_try(n, now=NOW, steps=STEPS) for n in range(1, 5)]
    assert times == [*(NOW + timedelta(seconds=step) for step in STEPS), None]


@pytest.mark.parametrize(
    ("asked", "waits"), [(None, 0), (1.0, 0), (60.0, 60), (10.0**9, max(STEPS))]
)
def test_a_receiver_may_ask_for_more_time(asked: float | None, waits: float) -> None:
    """Never for less than the step, and for no longer than the longest one."""
    first = next_try(1, now=NOW, steps=STEPS, retry_after=asked)
    assert first == NOW + timedelta(seconds=max(STEPS[0], waits))
