"""The way to TikTok's consent page."""

from hashlib import sha256
from urllib.parse import parse_qs, urlsplit

from app.tiktok.encode import authorize_url, code_challenge

BASE = "https://www.tiktok.com/v2/auth/authorize/"


def url(*, challenge: str | None = None, disable_auto_auth: bool = False) -> str:
    """Return an authorize URL with the rest filled in."""
    return authorize_url(
        BASE,
        client_key="key",
        redirect_uri="https://app.example.com/oauth/tiktok/callback",
        scopes=("user.info.basic", "video.publish"),
        state="s+/=",
        code_challenge=challenge,
        disable_auto_auth=disable_auto_auth,
    )


def test_what_tiktok_asks_for() -> None:
    """It is client_key, not client_id; scopes have commas; the slash stays."""
    parts = urlsplit(url())
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == BASE
    assert parse_qs(parts.query) == {
        "client_key": ["key"],
        "response_type": ["code"],
        "scope": ["user.info.basic,video.publish"],
        "redirect_uri": ["https://app.example.com/oauth/tiktok/callback"],
        "state": ["s+/="],
    }


def test_with_a_challenge_and_consent_every_time() -> None:
    """PKCE names its method; disable_auto_auth is a 1."""
    query = parse_qs(urlsplit(url(challenge="abc", disable_auto_auth=True)).query)
    assert query["code_challenge"] == ["abc"]
    assert query["code_challenge_method"] == ["S256"]
    assert query["disable_auto_auth"] == ["1"]


def test_a_base_with_a_query() -> None:
    """A base that has a query keeps it."""
    address = authorize_url(
        BASE + "?x=1", client_key="k", redirect_uri="r", scopes=(), state="s"
    )
    assert parse_qs(urlsplit(address).query)["x"] == ["1"]


def test_challenge_is_hex() -> None:
    """TikTok wants hex, where RFC 7636 has base64url."""
    assert code_challenge("verifier") == sha256(b"verifier").hexdigest()
    assert len(code_challenge("verifier")) == 64
