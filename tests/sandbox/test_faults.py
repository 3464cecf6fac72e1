"""Faults within TikTok: its codes, its tokens, and how posts go on."""

from typing import Any

import pytest

from tests.sandbox.support import CREATOR, REVOKE, STATUS, TOKEN, TikTok, code_of


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("access_token_invalid", 401),
        ("invalid_params", 400),
        ("spam_risk_too_many_posts", 403),
        ("spam_risk_too_many_pending_share", 403),
        ("spam_risk_user_banned_from_posting", 403),
        ("reached_active_user_cap", 403),
        ("unaudited_client_can_only_post_to_private_accounts", 403),
        ("url_ownership_unverified", 403),
        ("privacy_level_option_mismatch", 403),
        ("internal_error", 500),
        ("rate_limit_exceeded", 429),
        ("scope_not_authorized", 401),
        ("invented_by_a_later_version", 400),
    ],
)
async def test_a_code_comes_with_its_status(
    tiktok: TikTok, code: str, status: int
) -> None:
    """A scripted code comes once, with its HTTP status; the init is not taken."""
    await tiktok.fault("init", "error", code=code)
    answer = await tiktok.init()
    assert (answer.status_code, code_of(answer)) == (status, code)
    assert answer.json()["data"] == {}
    assert await tiktok.read("posts") == []
    assert code_of(await tiktok.init()) == "ok"


async def test_an_error_can_be_dressed_up(tiktok: TikTok) -> None:
    """Status, message and Retry-After are free; the init may even be taken."""
    await tiktok.fault(
        "init",
        "error",
        code="internal_error",
        httpStatus=503,
        message="Busy",
        retryAfter=7,
        taken=True,
    )
    answer = await tiktok.init()
    assert answer.status_code == 503
    assert answer.json()["error"]["message"] == "Busy"
    assert answer.headers["retry-after"] == "7"
    (post,) = await tiktok.read("posts")
    (call,) = await tiktok.read("calls")
    assert (call["taken"], call["publishId"]) == (True, post["publishId"])
    assert (call["httpStatus"], call["code"]) == (503, "internal_error")


@pytest.mark.parametrize(
    "retry_after", [None, 30, "Fri, 31 Dec 2049 23:59:59 GMT", "soon"]
)
async def test_a_rate_limit_may_say_when_to_come_back(
    tiktok: TikTok, retry_after: int | str | None
) -> None:
    """Retry-After can be seconds, a date, nonsense, or missing."""
    await tiktok.fault("status", "rate_limit", retryAfter=retry_after)
    answer = await tiktok.post(STATUS, {"publish_id": "x"})
    assert (answer.status_code, code_of(answer)) == (429, "rate_limit_exceeded")
    expected = None if retry_after is None else str(retry_after)
    assert answer.headers.get("retry-after") == expected


@pytest.mark.parametrize(
    "code",
    [
        "spam_risk_too_many_posts",
        "spam_risk_user_banned_from_posting",
        "reached_active_user_cap",
    ],
)
async def test_creator_info_says_caps_with_200(tiktok: TikTok, code: str) -> None:
    """TikTok does so on purpose: the status is not the verdict."""
    await tiktok.fault("creator_info", "error", code=code)
    answer = await tiktok.post(CREATOR)
    assert (answer.status_code, code_of(answer)) == (200, code)


@pytest.mark.parametrize("call", ["token", "revoke"])
async def test_oauth_faults_are_flat(tiktok: TikTok, call: str) -> None:
    """There is no envelope on the OAuth endpoints, not even for errors."""
    await tiktok.fault(call, "error", code="server_error", httpStatus=500)
    answer = await tiktok.form({"token": TOKEN, "revoke": REVOKE}[call])
    assert (answer.status_code, answer.json()["error"]) == (500, "server_error")


@pytest.mark.parametrize("status", [None, 200])
async def test_a_grant_can_be_refused_once(tiktok: TikTok, status: int | None) -> None:
    """invalid_grant spends no refresh token: the next try succeeds."""
    await tiktok.fault("token", "invalid_grant", httpStatus=status)
    fields = {"grant_type": "refresh_token", "refresh_token": "rft.sandbox"}
    answer = await tiktok.form(TOKEN, **fields)
    assert (answer.status_code, answer.json()["error"]) == (
        status or 400,
        "invalid_grant",
    )
    assert (await tiktok.form(TOKEN, **fields)).status_code == 200


async def test_a_token_can_die_in_the_middle_of_polling(tiktok: TikTok) -> None:
    """The second poll finds it dead; a refresh brings the account back."""
    await tiktok.fault("status", "token_death", rule={"after": 1})
    publish_id = await tiktok.taken()
    await tiktok.settled()
    body = {"publish_id": publish_id}
    assert code_of(await tiktok.post(STATUS, body)) == "ok"
    dead = await tiktok.post(STATUS, body)
    assert (dead.status_code, code_of(dead)) == (401, "access_token_invalid")
    pair = await tiktok.form(
        TOKEN, grant_type="refresh_token", refresh_token="rft.sandbox"
    )
    status = await tiktok.status(publish_id, token=pair.json()["access_token"])
    assert status["status"] == "PUBLISH_COMPLETE"


@pytest.mark.parametrize(
    ("plan", "status", "reason"),
    [
        (
            {"failReason": "frame_rate_check_failed"},
            "FAILED",
            "frame_rate_check_failed",
        ),
        ({"stuck": True}, "PROCESSING_DOWNLOAD", None),
        ({"seconds": 0}, "PUBLISH_COMPLETE", None),
    ],
)
async def test_a_posts_way_can_be_scripted(
    tiktok: TikTok, plan: dict[str, Any], status: str, reason: str | None
) -> None:
    """A publish can fail late, never end, or end at once after a good init."""
    await tiktok.settings(processingSeconds=0 if "failReason" in plan else 3600)
    await tiktok.fault("init", "processing", **plan)
    publish_id = await tiktok.taken()
    await tiktok.settled()
    answer = await tiktok.status(publish_id)
    assert answer["status"] == status
    assert answer.get("fail_reason") == reason


async def test_a_public_id_can_come_late(tiktok: TikTok) -> None:
    """PUBLISH_COMPLETE comes first, with an empty list, then the id."""
    await tiktok.settings(quotas=None)
    await tiktok.fault("init", "processing", postIdLate=0.05)
    publish_id = await tiktok.taken()
    seen: list[list[int]] = []
    while len(seen) < 2:
        status = await tiktok.status(publish_id)
        ids = status.get("publicaly_available_post_id")
        if ids is not None and ids not in seen:
            seen.append(ids)
    assert seen[0] == []
    assert len(seen[1]) == 1


async def test_the_first_calls_can_go_free(tiktok: TikTok) -> None:
    """After two calls the next two are struck, then it is over."""
    await tiktok.fault(
        "creator_info", "error", code="internal_error", rule={"after": 2, "times": 2}
    )
    codes = [code_of(await tiktok.post(CREATOR)) for _ in range(5)]
    assert codes == ["ok", "ok", "internal_error", "internal_error", "ok"]


async def test_a_fault_can_last_for_ever(tiktok: TikTok) -> None:
    """Until the script is cleared."""
    rule = {"times": None}
    await tiktok.fault("any", "error", code="internal_error", rule=rule)
    for _ in range(5):
        assert (await tiktok.post(CREATOR)).status_code == 500
    await tiktok.http.delete("/_sandbox/faults")
    assert (await tiktok.post(CREATOR)).status_code == 200


@pytest.mark.parametrize(
    "match",
    [{"title": "Doomed"}, {"openId": "other"}, {"openId": "other", "title": "x"}],
)
async def test_a_fault_can_be_about_one_post(
    tiktok: TikTok, match: dict[str, str]
) -> None:
    """Every word of the match must fit; other calls do not use it up."""
    await tiktok.account(openId="other", accessToken="act.other")
    await tiktok.fault("init", "rate_limit", rule={"match": match})
    about = {"title": "Doomed", **match}
    spared = await tiktok.init(title="x" if "title" not in match else "Spared")
    struck = await tiktok.init("act.other", title=about["title"])
    assert [code_of(spared), code_of(struck)] == ["ok", "rate_limit_exceeded"]


async def test_a_status_fault_can_be_about_one_post(tiktok: TikTok) -> None:
    """A status fault can be about one post, by publish_id or title."""
    doomed, spared = await tiktok.taken(title="Doomed"), await tiktok.taken(title="b")
    for match in ({"publishId": doomed}, {"title": "Doomed"}):
        await tiktok.fault("status", "rate_limit", rule={"match": match})
        answers = [
            await tiktok.post(STATUS, {"publish_id": publish_id})
            for publish_id in (spared, doomed)
        ]
        assert [answer.status_code for answer in answers] == [200, 429]


async def test_chance_repeats_itself_from_its_seed(tiktok: TikTok) -> None:
    """The same seed strikes the same calls, some but not all of them."""
    await tiktok.settings(quotas=None)
    runs = []
    for _ in range(2):
        await tiktok.http.delete("/_sandbox/faults")
        await tiktok.settings(seed=1)
        rule = {"times": None, "probability": 0.5}
        await tiktok.fault("creator_info", "gateway", rule=rule)
        runs.append([(await tiktok.post(CREATOR)).status_code for _ in range(20)])
    assert runs[0] == runs[1]
    assert set(runs[0]) == {200, 502}


async def test_faults_of_different_sorts_meet_in_one_call(tiktok: TikTok) -> None:
    """The post's way is shaped although the answer is lost; the record names both."""
    await tiktok.fault("init", "processing", failReason="spam_risk")
    await tiktok.fault("init", "gateway", taken=True)
    assert (await tiktok.init()).status_code == 502
    await tiktok.settled()
    (post,) = await tiktok.read("posts")
    (call,) = await tiktok.read("calls")
    assert post["failReason"] == "spam_risk"
    assert call["fault"] == "processing+gateway"


async def test_of_one_sort_the_first_rule_strikes(tiktok: TikTok) -> None:
    """The second waits for the next call; free calls are counted for both."""
    await tiktok.fault("creator_info", "error", code="first")
    await tiktok.fault("creator_info", "error", code="second")
    await tiktok.fault("creator_info", "error", code="third", rule={"after": 3})
    codes = [code_of(await tiktok.post(CREATOR)) for _ in range(5)]
    assert codes == ["first", "second", "ok", "third", "ok"]
    faults = await tiktok.read("faults")
    assert [(fault["met"], fault["struck"]) for fault in faults] == [
        (1, 1),
        (2, 1),
        (4, 1),
    ]
