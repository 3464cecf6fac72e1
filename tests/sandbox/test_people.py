"""Two people, and a consent page on which each decides for themselves."""

import html
import re
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from tests.sandbox.support import (
    AUTHORIZE,
    CREATOR,
    STATUS,
    TOKEN,
    USER,
    TikTok,
    code_of,
)

CALLBACK = "http://127.0.0.1:8000/oauth/tiktok/callback"
SCOPES = "user.info.basic,video.publish"
QUERY = {
    "client_key": "sandbox_key",
    "response_type": "code",
    "scope": SCOPES,
    "redirect_uri": CALLBACK,
    "state": "s",
}


async def consent(tiktok: TikTok, **query: str) -> httpx.Response:
    """Come to the consent page."""
    return await tiktok.http.get(AUTHORIZE, params={**QUERY, **query})


async def tokens(tiktok: TikTok, answer: httpx.Response) -> dict[str, object]:
    """Go back with the code and exchange it."""
    assert answer.status_code == 302, answer.text
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    pair = await tiktok.form(
        TOKEN,
        grant_type="authorization_code",
        code=query["code"][0],
        redirect_uri=CALLBACK,
    )
    body: dict[str, object] = pair.json()
    return body


async def test_there_are_two_people(tiktok: TikTok) -> None:
    """Each has a name, tokens and posts of their own."""
    names = []
    for token in ("act.sandbox", "act.sandbox_2"):
        answer = await tiktok.post(CREATOR, token=token)
        names.append(answer.json()["data"]["creator_username"])
    assert names == ["sandbox_user", "sandbox_user_2"]
    publish_id = await tiktok.taken("act.sandbox_2")
    refused = await tiktok.post(STATUS, {"publish_id": publish_id})
    assert code_of(refused) == "token_not_authorized_for_specified_publish_id"
    pair = await tiktok.form(
        TOKEN, grant_type="refresh_token", refresh_token="rft.sandbox_2"
    )
    assert pair.json()["open_id"] == "sandbox_user_2"
    assert code_of(await tiktok.post(CREATOR)) == "ok"


async def test_whoever_is_signed_in_consents(tiktok: TikTok) -> None:
    """Without a page nobody is asked who they are; with open_id it is said."""
    assert (await tokens(tiktok, await consent(tiktok)))["open_id"] == "sandbox_user"
    await tiktok.settings(signedInAs="sandbox_user_2")
    assert (await tokens(tiktok, await consent(tiktok)))["open_id"] == "sandbox_user_2"
    named = await consent(tiktok, open_id="sandbox_user")
    assert (await tokens(tiktok, named))["open_id"] == "sandbox_user"


async def test_disable_auto_auth_asks_whoever_is_signed_in(tiktok: TikTok) -> None:
    """A page with everybody on it, unless somebody is named or has answered."""
    page = await consent(tiktok, disable_auto_auth="1")
    assert page.status_code == 200
    for person in ("sandbox_user", "sandbox_user_2"):
        (link,) = re.findall(rf'href="([^"]*open_id={person})"', page.text)
        answer = await tiktok.http.get(AUTHORIZE + html.unescape(link))
        assert (await tokens(tiktok, answer))["open_id"] == person
    for more in ({"open_id": "sandbox_user_2"}, {"approve": "1"}, {"deny": "1"}):
        answer = await consent(tiktok, disable_auto_auth="1", **more)
        assert answer.status_code == 302


@pytest.mark.parametrize(
    ("granted", "scopes"),
    [
        ("video.publish", "video.publish"),
        ("video.publish,user.info.basic", SCOPES),
        ("video.publish,video.list", "video.publish"),
        ("", ""),
    ],
)
async def test_scopes_can_be_unticked(
    tiktok: TikTok, granted: str, scopes: str
) -> None:
    """A scope that was not requested cannot be ticked."""
    answer = await consent(tiktok, granted=granted)
    assert (await tokens(tiktok, answer))["scope"] == scopes


async def test_the_form_sends_what_is_ticked(tiktok: TikTok) -> None:
    """Its fields, sent as a browser sends them, lead back with those scopes."""
    await tiktok.settings(consentPage=True)
    page = (await consent(tiktok, state='"><script>')).text
    assert "<script>" not in page
    fields = [
        (html.unescape(name), html.unescape(value))
        for name, value in re.findall(
            r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page
        )
    ]
    assert re.findall(r'type="checkbox" name="granted" value="([^"]*)"', page) == (
        SCOPES.split(",")
    )
    sent = [*fields, ("open_id", "sandbox_user_2"), ("granted", "video.publish")]
    answer = await tiktok.http.get(f"{AUTHORIZE}?{urlencode(sent)}")
    pair = await tokens(tiktok, answer)
    assert (pair["open_id"], pair["scope"]) == ("sandbox_user_2", "video.publish")
    assert parse_qs(urlsplit(answer.headers["location"]).query)["state"] == [
        '"><script>'
    ]


async def test_nobody_unknown_is_signed_in(tiktok: TikTok) -> None:
    """A setting that names nobody ends on a page."""
    await tiktok.settings(signedInAs="nobody")
    assert (await consent(tiktok)).status_code == 400


async def test_a_person_can_change_and_keep_their_tokens(tiktok: TikTok) -> None:
    """Fields that are not named stay as they are."""
    answer = await tiktok.http.patch(
        "/_sandbox/accounts/sandbox_user",
        json={"privacyLevels": ["SELF_ONLY"], "maxVideoSeconds": 180},
    )
    assert answer.json()["username"] == "sandbox_user"
    creator = (await tiktok.post(CREATOR)).json()["data"]
    assert creator["privacy_level_options"] == ["SELF_ONLY"]
    assert creator["max_video_post_duration_sec"] == 180
    mismatch = await tiktok.init(privacy_level="PUBLIC_TO_EVERYONE")
    assert code_of(mismatch) == "privacy_level_option_mismatch"


@pytest.mark.parametrize(
    ("person", "body", "status"),
    [
        ("nobody", {}, 404),
        ("sandbox_user", {"maxVideoSeconds": 0}, 422),
        ("sandbox_user", {"openId": "other"}, 422),
        ("sandbox_user", [], 422),
    ],
)
async def test_a_nonsensical_change_is_refused(
    tiktok: TikTok, person: str, body: object, status: int
) -> None:
    """Nobody unknown, and nothing unknown."""
    path = f"/_sandbox/accounts/{person}"
    assert (await tiktok.http.patch(path, json=body)).status_code == status


async def test_creator_info_names_the_creator_without_the_profile_scope(
    tiktok: TikTok,
) -> None:
    """user/info does not."""
    await tiktok.account(
        openId="o",
        username="shop",
        accessToken="act.o",
        scopes=["user.info.basic", "video.publish"],
    )
    creator = await tiktok.post(CREATOR, token="act.o")
    assert creator.json()["data"]["creator_username"] == "shop"
    answer = await tiktok.http.get(
        USER,
        params={"fields": "open_id,username"},
        headers={"Authorization": "Bearer act.o"},
    )
    assert code_of(answer) == "scope_not_authorized"


@pytest.mark.parametrize(
    ("kind", "more", "status"),
    [
        ("error", {"code": "scope_not_authorized"}, 401),
        ("gateway", {}, 502),
        ("error", {"code": "internal_error"}, 500),
    ],
)
async def test_user_info_can_be_away(
    tiktok: TikTok, kind: str, more: dict[str, str], status: int
) -> None:
    """For an hour or for ever: nobody can be verified then."""
    await tiktok.fault("user_info", kind, rule={"times": None}, **more)
    for _ in range(2):
        answer = await tiktok.http.get(
            USER,
            params={"fields": "open_id"},
            headers={"Authorization": "Bearer act.sandbox"},
        )
        assert answer.status_code == status
