"""When a signed URL stops working, as its own words tell."""

import json
from base64 import b64encode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.posts.signed_url import signed_until

END: Final = datetime(2026, 4, 9, 11, tzinfo=UTC)
UNIX: Final = int(END.timestamp())
BASE: Final = "https://cdn.example.com/v.mp4"


def token(claims: object) -> str:
    """Write a web token that nobody can check."""
    body = urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJIUzI1NiJ9.{body}.c2lnbmF0dXJl"


def policy(*ends: int) -> str:
    """Write a policy as CloudFront takes it."""
    statements = [
        {"Resource": "*", "Condition": {"DateLessThan": {"AWS:EpochTime": end}}}
        for end in ends
    ]
    text = b64encode(json.dumps({"Statement": statements}).encode()).decode()
    return text.translate(str.maketrans("+=/", "-_~"))


@pytest.mark.parametrize(
    "query",
    [
        "X-Amz-Date=20260409T100000Z&X-Amz-Expires=3600&X-Amz-Signature=ab",
        "x-amz-date=20260409T100000Z&x-amz-expires=3600",
        "X-Goog-Date=20260409T100000Z&X-Goog-Expires=3600&X-Goog-Signature=ab",
        "x-oss-date=20260409T100000Z&x-oss-expires=3600&x-oss-signature=ab",
        f"Expires={UNIX}&Signature=ab&Key-Pair-Id=K1",
        f"AWSAccessKeyId=A&Signature=ab&Expires={UNIX}",
        f"GoogleAccessId=a%40b&Expires={UNIX}&Signature=ab",
        f"Policy={policy(UNIX + 60, UNIX)}&Signature=ab&Key-Pair-Id=K1",
        "sv=2024-11-04&se=2026-04-09T11%3A00%3A00Z&sp=r&sig=ab",
        "se=2026-04-09T11:00Z&sig=ab",
        f"token=ab&expires={UNIX}",
        f"exp={UNIX}&sig=ab",
        f"token={token({'url': 'v.mp4', 'exp': UNIX})}",
        # The first of several ends is the end.
        f"expires={UNIX + 60}&se=2026-04-09T11:00:00Z",
    ],
)
def test_a_signature_tells_its_end(query: str) -> None:
    """S3, Google, Azure, CloudFront, Alibaba, CDNs and web tokens are known."""
    assert signed_until(f"{BASE}?{query}") == END


def test_a_day_alone_ends_as_it_begins() -> None:
    """Azure takes a date without a time for its first moment."""
    ends = signed_until(f"{BASE}?se=2026-04-09&sig=ab")
    assert ends == END.replace(hour=0)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "v=3",
        "expires=never",
        "expires=3600",  # seconds from when?
        "exp=12",
        "exp=1775732400000000",
        "se=sweden",
        "se=2026-13-09T11:00:00Z",
        "X-Amz-Expires=3600",
        "X-Amz-Date=20260409T100000Z",
        "X-Amz-Date=20261309T100000Z&X-Amz-Expires=3600",
        "X-Amz-Date=99991231T235959Z&X-Amz-Expires=999999999",
        "token=abc",
        "token=eyJ.e30.x",
        "token=eyJ.bm8.x",
        "Policy=no&Key-Pair-Id=K1",
        f"Policy={policy()}&Key-Pair-Id=K1",
        "Policy=W10_&Key-Pair-Id=K1",
    ],
)
def test_what_is_not_certain_is_no_end(query: str) -> None:
    """A word that could mean something else raises no alarm."""
    assert signed_until(f"{BASE}?{query}") is None


@given(st.text(max_size=60), st.text(max_size=200))
def test_any_query_has_an_answer(name: str, value: str) -> None:
    """Callers write URLs: none of them raises."""
    for key in (name, "token", "policy", "se", "expires", "x-amz-date"):
        found = signed_until(f"{BASE}?{key}={value}&x-amz-expires=1&key-pair-id=1")
        assert found is None or found + timedelta(0) == found
