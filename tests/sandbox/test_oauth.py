"""Consent, tokens, refreshing and revoking."""

import base64
import hashlib
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.sandbox.support import (
    AUTHORIZE,
    CREATOR,
    REVOKE,
    TOKEN,
    HandClock,
    TikTok,
    code_of,
)

CALLBACK = "http://127.0.0.1:8000/oauth/tiktok/callback"
VERIFIER = "v" * 64
CHALLENGE = hashlib.sha256(VERIFIER.encode()).hexdigest()


async def consent(tiktok: TikTok, **query: str) -> httpx.Response:
    """Open the consent page."""
    usual = {
        "client_key": "sandbox_key",
        "response_type": "code",
        "scope": "user.info.basic,video.publish",
        "redirect_uri": CALLBACK,
        "state": "s t+a&te",
    }
    return await tiktok.http.get(AUTHORIZE, params={**usual, **query})


def callback_of(answer: httpx.Response) -> dict[str, str]:
    """Read what the browser brings back to the app."""
    assert answer.status_code == 302
    assert answer.headers["location"].startswith(CALLBACK + "?")
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    return {name: values[0] for name, values in query.items()}


async def exchange(tiktok: TikTok, code: str, **fields: str) -> httpx.Response:
    """Exchange a code for tokens."""
    usual = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": CALLBACK,
    }
    return await tiktok.form(TOKEN, **{**usual, **fields})


async def refresh(tiktok: TikTok, token: str) -> httpx.Response:
    """Refresh a token pair."""
    return await tiktok.form(TOKEN, grant_type="refresh_token", refresh_token=token)


async def test_consent_leads_to_a_token_pair(tiktok: TikTok) -> None:
    """Code, scopes and state come back; the code buys tokens for these scopes."""
    back = callback_of(await consent(tiktok))
    assert back["state"] == "s t+a&te"
    assert back["scopes"] == "user.info.basic,video.publish"
    answer = await exchange(tiktok, back["code"])
    assert answer.status_code == 200
    tokens = answer.json()
    assert code_of(await tiktok.post(CREATOR, token=tokens.pop("access_token"))) == "ok"
    assert tokens.pop("refresh_token").startswith("rft.")
    assert tokens == {
        "open_id": "sandbox_user",
        "scope": "user.info.basic,video.publish",
        "expires_in": 7200,
        "refresh_expires_in": 180 * 86400,
        "token_type": "Bearer",
    }


async def test_a_code_needs_decoding(tiktok: TikTok) -> None:
    """Like TikTok's, it has characters that arrive percent-encoded."""
    answer = await consent(tiktok)
    assert "%2Av%21" in answer.headers["location"]


async def test_a_code_is_good_for_one_use(tiktok: TikTok) -> None:
    """The second exchange is invalid_grant, in OAuth's flat shape."""
    code = callback_of(await consent(tiktok))["code"]
    assert (await exchange(tiktok, code)).status_code == 200
    answer = await exchange(tiktok, code)
    assert answer.status_code == 400
    assert answer.json() == {
        "error": "invalid_grant",
        "error_description": "Authorization code or refresh token is invalid"
        " or expired.",
        "log_id": answer.json()["log_id"],
    }


async def test_a_code_dies_after_five_minutes(tiktok: TikTok, clock: HandClock) -> None:
    """An old code is as good as none."""
    code = callback_of(await consent(tiktok))["code"]
    clock.seconds += 300
    assert (await exchange(tiktok, code)).json()["error"] == "invalid_grant"


async def test_the_redirect_uri_must_be_the_same(tiktok: TikTok) -> None:
    """Byte by byte, as it was when consent was asked for."""
    code = callback_of(await consent(tiktok))["code"]
    answer = await exchange(tiktok, code, redirect_uri=CALLBACK + "/")
    assert answer.json()["error"] == "invalid_grant"


async def test_the_hex_challenge_is_proved_by_its_verifier(tiktok: TikTok) -> None:
    """TikTok's PKCE challenge is the hexadecimal SHA-256."""
    back = callback_of(
        await consent(tiktok, code_challenge=CHALLENGE, code_challenge_method="S256")
    )
    answer = await exchange(tiktok, back["code"], code_verifier=VERIFIER)
    assert answer.status_code == 200


@pytest.mark.parametrize("verifier", ["w" * 64, None])
async def test_a_wrong_verifier_is_refused(
    tiktok: TikTok, verifier: str | None
) -> None:
    """A wrong or missing PKCE verifier is refused."""
    back = callback_of(await consent(tiktok, code_challenge=CHALLENGE))
    more = {} if verifier is None else {"code_verifier": verifier}
    answer = await exchange(tiktok, back["code"], **more)
    assert answer.json()["error"] == "invalid_request"
    assert "Code verifier" in answer.json()["error_description"]


async def test_a_base64_challenge_fails_as_it_does_at_tiktok(tiktok: TikTok) -> None:
    """RFC 7636's encoding is the classic mistake."""
    digest = hashlib.sha256(VERIFIER.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    back = callback_of(await consent(tiktok, code_challenge=challenge))
    answer = await exchange(tiktok, back["code"], code_verifier=VERIFIER)
    assert answer.json()["error"] == "invalid_request"


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"deny": "1"}, "access_denied"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": ""}, "invalid_scope"),
        ({"scope": "user.info.basic,bank.account"}, "invalid_scope"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
    ],
)
async def test_a_refusal_travels_back_with_the_state(
    tiktok: TikTok, query: dict[str, str], error: str
) -> None:
    """The app learns of it at its callback, and gets no code."""
    back = callback_of(await consent(tiktok, **query))
    assert (back["error"], back["state"]) == (error, "s t+a&te")
    assert "code" not in back


async def test_a_refusal_can_be_scripted(tiktok: TikTok) -> None:
    """An error fault on authorize is a refused consent."""
    await tiktok.fault("authorize", "error", code="access_denied")
    assert callback_of(await consent(tiktok))["error"] == "access_denied"
    assert "code" in callback_of(await consent(tiktok))


@pytest.mark.parametrize(
    "query",
    [
        {"client_key": "another"},
        {"redirect_uri": "http://example.com/callback"},
        {"redirect_uri": CALLBACK + "?next=1"},
        {"redirect_uri": CALLBACK + "#part"},
        {"redirect_uri": "https://example.com/" + "x" * 500},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": ""},
        {"open_id": "nobody"},
    ],
)
async def test_nobody_is_sent_to_an_unchecked_address(
    tiktok: TikTok, query: dict[str, str]
) -> None:
    """A wrong app or address ends on a page, never in a redirect."""
    answer = await consent(tiktok, **query)
    assert answer.status_code == 400
    assert "location" not in answer.headers


async def test_a_redirect_uri_on_the_web_is_https(tiktok: TikTok) -> None:
    """Only the loopback may do without TLS."""
    uri = "https://app.example.com/callback"
    answer = await consent(tiktok, redirect_uri=uri)
    assert answer.headers["location"].startswith(uri + "?code=")


async def test_scopes_the_user_does_not_grant_are_missing(tiktok: TikTok) -> None:
    """The granted scopes can be fewer than those asked for."""
    await tiktok.account(openId="shy", scopes=["user.info.basic"])
    back = callback_of(await consent(tiktok, open_id="shy"))
    assert back["scopes"] == "user.info.basic"
    tokens = (await exchange(tiktok, back["code"])).json()
    assert (tokens["open_id"], tokens["scope"]) == ("shy", "user.info.basic")


async def test_the_consent_page_asks_if_it_is_told_to(tiktok: TikTok) -> None:
    """Approve and Deny lead on; nothing from the query becomes markup."""
    await tiktok.settings(consentPage=True)
    page = await consent(tiktok, state="<script>")
    assert page.status_code == 200
    assert "<script>" not in page.text
    assert "approve=1" in page.text
    assert "deny=1" in page.text
    assert "code" in callback_of(await consent(tiktok, approve="1"))


async def test_a_refresh_token_is_good_for_one_use(tiktok: TikTok) -> None:
    """It is rotated: the old pair is dead, the new pair lives."""
    answer = await refresh(tiktok, "rft.sandbox")
    assert answer.status_code == 200
    pair = answer.json()
    assert pair["scope"].split(",")[-1] == "video.list"
    assert code_of(await tiktok.post(CREATOR)) == "access_token_invalid"
    assert code_of(await tiktok.post(CREATOR, token=pair["access_token"])) == "ok"
    assert (await refresh(tiktok, "rft.sandbox")).json()["error"] == "invalid_grant"
    assert (await refresh(tiktok, pair["refresh_token"])).status_code == 200


async def test_a_refresh_renews_an_expired_access_token(
    tiktok: TikTok, clock: HandClock
) -> None:
    """Until the refresh token itself has expired."""
    clock.seconds += 180 * 86400 - 1
    pair = (await refresh(tiktok, "rft.sandbox")).json()
    assert code_of(await tiktok.post(CREATOR, token=pair["access_token"])) == "ok"
    clock.seconds += 180 * 86400
    answer = await refresh(tiktok, pair["refresh_token"])
    assert answer.json()["error"] == "invalid_grant"


async def test_a_grace_lets_the_old_pair_live_on(
    tiktok: TikTok, clock: HandClock
) -> None:
    """Within it a repeated refresh gives the same new pair; after it, nothing."""
    await tiktok.settings(refreshGrace=10)
    first = (await refresh(tiktok, "rft.sandbox")).json()
    clock.seconds += 9
    assert code_of(await tiktok.post(CREATOR)) == "ok"
    second = (await refresh(tiktok, "rft.sandbox")).json()
    assert second["access_token"] == first["access_token"]
    assert second["refresh_token"] == first["refresh_token"]
    clock.seconds += 1
    assert code_of(await tiktok.post(CREATOR)) == "access_token_invalid"
    assert (await refresh(tiktok, "rft.sandbox")).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"client_key": "wrong"}, "invalid_client"),
        ({"client_key": ""}, "invalid_request"),
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"refresh_token": ""}, "invalid_grant"),
    ],
)
@pytest.mark.parametrize("status", [200, 400])
async def test_oauth_errors_are_flat_with_either_status(
    tiktok: TikTok, fields: dict[str, str], error: str, status: int
) -> None:
    """TikTok is reported to send them with 200 as well."""
    await tiktok.settings(oauthErrorStatus=status)
    usual = {"grant_type": "refresh_token", "refresh_token": "rft.sandbox"}
    answer = await tiktok.form(TOKEN, **{**usual, **fields})
    assert (answer.status_code, answer.json()["error"]) == (status, error)


async def test_oauth_wants_a_form(tiktok: TikTok) -> None:
    """JSON is malformed there."""
    answer = await tiktok.post(TOKEN, {"grant_type": "refresh_token"})
    assert answer.json()["error"] == "invalid_request"
    undecodable = await tiktok.http.post(TOKEN, content=b"client_key=\xff")
    assert undecodable.json()["error"] == "invalid_request"


async def test_revoking_ends_the_pair_and_what_is_under_way(tiktok: TikTok) -> None:
    """Both tokens die; a post in progress fails with auth_removed."""
    await tiktok.fault("init", "processing", stuck=True)
    publish_id = await tiktok.taken()
    answer = await tiktok.form(REVOKE, token="act.sandbox")
    assert (answer.status_code, answer.json()) == (200, {})
    assert code_of(await tiktok.post(CREATOR)) == "access_token_invalid"
    assert (await refresh(tiktok, "rft.sandbox")).json()["error"] == "invalid_grant"
    (post,) = await tiktok.read("posts")
    assert post["publishId"] == publish_id
    assert (post["status"], post["failReason"]) == ("FAILED", "auth_removed")


async def test_revoking_is_for_the_app_alone(tiktok: TikTok) -> None:
    """A wrong secret or no token is refused, an unknown token is fine."""
    wrong = await tiktok.form(REVOKE, token="act.sandbox", client_secret="wrong")
    assert wrong.json()["error"] == "invalid_client"
    assert (await tiktok.form(REVOKE)).json()["error"] == "invalid_request"
    assert (await tiktok.form(REVOKE, token="act.unknown")).json() == {}
    assert code_of(await tiktok.post(CREATOR)) == "ok"
