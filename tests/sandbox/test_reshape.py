"""Answers that are true but lack something, or have it in an odd place."""

import httpx
import pytest

from tests.sandbox.support import AUTHORIZE, CREATOR, TOKEN, TikTok, code_of

REFRESH = {"grant_type": "refresh_token", "refresh_token": "rft.sandbox"}
PASSING = ["server_error", "temporarily_unavailable"]


@pytest.mark.parametrize("status", [200, 400, 429, 500, 503])
@pytest.mark.parametrize("code", [*PASSING, "a_code_of_tomorrow"])
async def test_oauth_errors_pass_with_any_status(
    tiktok: TikTok, code: str, status: int
) -> None:
    """Flat, and the refresh token is not spent."""
    await tiktok.fault("token", "error", code=code, httpStatus=status)
    answer = await tiktok.form(TOKEN, **REFRESH)
    assert (answer.status_code, answer.json()["error"]) == (status, code)
    assert answer.json().keys() == {"error", "error_description", "log_id"}
    assert (await tiktok.form(TOKEN, **REFRESH)).status_code == 200


@pytest.mark.parametrize("code", PASSING)
async def test_consent_can_fail_in_passing(tiktok: TikTok, code: str) -> None:
    """The browser comes back with the error."""
    await tiktok.fault("authorize", "error", code=code)
    query = {
        "client_key": "sandbox_key",
        "response_type": "code",
        "scope": "user.info.basic",
        "redirect_uri": "http://127.0.0.1:8000/callback",
    }
    answer = await tiktok.http.get(AUTHORIZE, params=query)
    assert httpx.URL(answer.headers["location"]).params["error"] == code


@pytest.mark.parametrize(
    "omit",
    [["expires_in", "refresh_expires_in"], ["scope"], ["open_id", "token_type"]],
)
async def test_a_token_answer_can_lack_members(tiktok: TikTok, omit: list[str]) -> None:
    """The pair is true, new and alive; the next answer is whole again."""
    whole = (await tiktok.form(TOKEN, **REFRESH)).json()
    await tiktok.fault("token", "reshape", omit=omit)
    refresh_token = whole["refresh_token"]
    pair = await tiktok.form(TOKEN, **REFRESH | {"refresh_token": refresh_token})
    assert whole.keys() - pair.json().keys() == set(omit)
    token = pair.json()["access_token"]
    assert code_of(await tiktok.post(CREATOR, token=token)) == "ok"


async def test_a_token_answer_can_be_nested(tiktok: TikTok) -> None:
    """The pair stands in `data`, and nothing beside it."""
    await tiktok.fault("token", "reshape", nested=True, omit=["scope"])
    answer = await tiktok.form(TOKEN, **REFRESH)
    assert answer.json().keys() == {"data"}
    token = answer.json()["data"]["access_token"]
    assert code_of(await tiktok.post(CREATOR, token=token)) == "ok"


async def test_members_can_have_other_values(tiktok: TikTok) -> None:
    """An answer's members can have values of another type, or new ones."""
    change = {"expires_in": "7200", "refresh_expires_in": None, "new": [1]}
    await tiktok.fault("token", "reshape", change=change)
    answer = (await tiktok.form(TOKEN, **REFRESH)).json()
    assert change.items() <= answer.items()


async def test_what_is_in_the_envelope_can_be_changed(tiktok: TikTok) -> None:
    """`data` alone; the verdict stays."""
    await tiktok.fault(
        "creator_info",
        "reshape",
        omit=["creator_username"],
        change={"max_video_post_duration_sec": None},
    )
    answer = await tiktok.post(CREATOR)
    assert code_of(answer) == "ok"
    assert "creator_username" not in answer.json()["data"]
    assert answer.json()["data"]["max_video_post_duration_sec"] is None


async def test_an_error_is_not_reshaped(tiktok: TikTok) -> None:
    """There is no payload to change."""
    await tiktok.fault("token", "reshape", nested=True)
    answer = await tiktok.form(TOKEN, grant_type="refresh_token", refresh_token="x")
    assert answer.json()["error"] == "invalid_grant"


@pytest.mark.parametrize("call", ["token", "creator_info"])
async def test_a_log_id_can_stand_in_the_header_alone(
    tiktok: TikTok, call: str
) -> None:
    """A log_id can stand in the header alone, or nowhere."""
    found = []
    for where in ("both", "header", "none"):
        await tiktok.fault(call, "error", code="internal_error", logIdIn=where)
        if call == "token":
            answer = await tiktok.form(TOKEN, **REFRESH)
            body = answer.json()
        else:
            answer = await tiktok.post(CREATOR)
            body = answer.json()["error"]
        found.append((body.get("log_id"), answer.headers.get("x-tt-logid")))
    both, header, none = found
    assert both[0] == both[1] is not None
    assert header[0] is None
    assert header[1] is not None
    assert none == (None, None)


async def test_every_answer_names_its_log_id_in_the_header(tiktok: TikTok) -> None:
    """Success, refusal and gateway page; where the body has one it is the same."""
    well, refused = await tiktok.post(CREATOR), await tiktok.post(CREATOR, token=None)
    for answer in (well, refused):
        assert answer.headers["x-tt-logid"] == answer.json()["error"]["log_id"]
    pair = await tiktok.form(TOKEN, **REFRESH)
    await tiktok.fault("creator_info", "gateway")
    page = await tiktok.post(CREATOR)
    assert page.status_code == 502
    assert {len(answer.headers["x-tt-logid"]) for answer in (pair, page)} == {34}
