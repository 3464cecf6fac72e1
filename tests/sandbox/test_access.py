"""Who is let in: tokens, scopes, quotas."""

import pytest

from tests.sandbox.support import (
    CREATOR,
    INBOX,
    INIT,
    STATUS,
    VIDEOS,
    HandClock,
    TikTok,
    code_of,
)

BEARER_PATHS = [CREATOR, INIT, INBOX, STATUS, VIDEOS]


@pytest.mark.parametrize("path", BEARER_PATHS)
@pytest.mark.parametrize("token", [None, "act.unknown", "rft.sandbox"])
async def test_only_an_access_token_opens_the_door(
    tiktok: TikTok, path: str, token: str | None
) -> None:
    """No token, a made-up one, or a refresh token: 401 access_token_invalid."""
    answer = await tiktok.post(path, {}, token=token)
    assert (answer.status_code, code_of(answer)) == (401, "access_token_invalid")


async def test_an_access_token_dies_after_expires_in(
    tiktok: TikTok, clock: HandClock
) -> None:
    """The last second counts, the next one does not."""
    clock.seconds += 7199
    assert code_of(await tiktok.post(CREATOR)) == "ok"
    clock.seconds += 1
    assert code_of(await tiktok.post(CREATOR)) == "access_token_invalid"


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        (CREATOR, "video.publish"),
        (INIT, "video.publish"),
        (INBOX, "video.upload"),
        (VIDEOS, "video.list"),
    ],
)
async def test_each_endpoint_wants_its_scope(
    tiktok: TikTok, path: str, scope: str
) -> None:
    """Every other scope together does not make up for it: 401."""
    others = {"video.publish", "video.upload", "video.list"} - {scope}
    await tiktok.account(openId="o", accessToken="act.o", scopes=sorted(others))
    answer = await tiktok.post(path, {}, token="act.o")
    assert (answer.status_code, code_of(answer)) == (401, "scope_not_authorized")


@pytest.mark.parametrize("scope", ["video.publish", "video.upload"])
async def test_status_opens_with_either_scope(tiktok: TikTok, scope: str) -> None:
    """Who may post or send drafts may ask how far they are."""
    await tiktok.account(openId="o", accessToken="act.o", scopes=[scope])
    assert code_of(await tiktok.post(STATUS, {}, token="act.o")) == "invalid_params"


@pytest.mark.parametrize(
    ("path", "limit"), [(INIT, 6), (INBOX, 6), (STATUS, 30), (CREATOR, 20)]
)
async def test_a_quota_is_a_sliding_minute(
    tiktok: TikTok, clock: HandClock, path: str, limit: int
) -> None:
    """The call over the limit is 429; room is made one minute after the first."""
    answers = [await tiktok.post(path, {})]
    clock.seconds += 30
    answers += [await tiktok.post(path, {}) for _ in range(limit - 1)]
    assert all(answer.status_code != 429 for answer in answers)
    clock.seconds += 29
    refused = await tiktok.post(path, {})
    assert (refused.status_code, code_of(refused)) == (429, "rate_limit_exceeded")
    assert "retry-after" not in refused.headers
    clock.seconds += 1
    verdicts = [(await tiktok.post(path, {})).status_code for _ in range(2)]
    assert verdicts[0] != 429
    assert verdicts[1] == 429


async def test_a_quota_is_the_accounts_own_and_outlives_its_token(
    tiktok: TikTok,
) -> None:
    """Another account has its own; a refreshed token has not a fresh one."""
    await tiktok.settings(quotas={"creatorInfo": 1})
    other = await tiktok.account()
    assert code_of(await tiktok.post(CREATOR)) == "ok"
    assert code_of(await tiktok.post(CREATOR, token=other["accessToken"])) == "ok"
    tokens = await tiktok.form(
        "/v2/oauth/token/", grant_type="refresh_token", refresh_token="rft.sandbox"
    )
    fresh = tokens.json()["access_token"]
    assert code_of(await tiktok.post(CREATOR, token=fresh)) == "rate_limit_exceeded"


async def test_a_call_that_is_turned_away_takes_no_quota(tiktok: TikTok) -> None:
    """A fault in front of the call is not the account's doing."""
    await tiktok.settings(quotas={"creatorInfo": 1})
    await tiktok.fault("creator_info", "gateway")
    assert (await tiktok.post(CREATOR)).status_code == 502
    assert code_of(await tiktok.post(CREATOR)) == "ok"


async def test_quotas_can_be_switched_off(tiktok: TikTok) -> None:
    """One by one, or all of them."""
    await tiktok.settings(quotas={"init": None})
    assert (await tiktok.http.get("/_sandbox/settings")).json()["quotas"] == {
        "init": None,
        "status": 30,
        "creatorInfo": 20,
    }
    assert [code_of(await tiktok.init()) for _ in range(7)] == ["ok"] * 7
    await tiktok.settings(quotas=None)
    assert [code_of(await tiktok.post(CREATOR)) for _ in range(21)] == ["ok"] * 21


async def test_a_quota_of_nothing_lets_nobody_in(tiktok: TikTok) -> None:
    """Zero is a limit, unlike null."""
    await tiktok.settings(quotas={"creatorInfo": 0, "init": 0, "status": 0})
    for path in (CREATOR, INIT, INBOX, STATUS):
        assert (await tiktok.post(path, {})).status_code == 429
