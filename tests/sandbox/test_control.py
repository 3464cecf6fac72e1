"""The control routes: script, records, accounts, settings, the video."""

from typing import Any

import pytest

from tests.sandbox.support import CREATOR, TOKEN, HandClock, TikTok, code_of

VIDEO = "/_sandbox/video.mp4"


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({"call": "init", "fault": {"kind": "explode"}}, "explode"),
        ({"call": "like", "fault": {"kind": "reset"}}, "call"),
        ({"call": "init", "fault": {"kind": "reset", "takn": True}}, "takn"),
        ({"call": "init", "fault": {"kind": "error"}}, "code"),
        ({"call": "init", "fault": {"kind": "slow", "seconds": -1}}, "seconds"),
        ({"call": "init", "fault": {"kind": "reset"}, "times": 0}, "times"),
        ({"call": "init", "fault": {"kind": "reset"}, "probability": 2}, "probability"),
        ({"call": "init", "fault": {"kind": "reset"}, "match": {"who": 1}}, "who"),
        ({"call": "status", "fault": {"kind": "processing"}}, "inbox_init, init"),
        ({"call": "init", "fault": {"kind": "invalid_grant"}}, "token"),
        ({"fault": {"kind": "reset"}}, "call"),
        ([], "object"),
    ],
)
async def test_nonsense_in_the_script_is_refused(
    tiktok: TikTok, body: object, complaint: str
) -> None:
    """422 says what is wrong, and nothing is scripted."""
    answer = await tiktok.http.post("/_sandbox/faults", json=body)
    assert answer.status_code == 422
    assert complaint in answer.json()["detail"]
    assert await tiktok.read("faults") == []


async def test_the_script_can_be_read_and_struck_out(tiktok: TikTok) -> None:
    """One by one, or as a whole; an unknown id is 404."""
    first = await tiktok.fault("init", "reset", taken=True)
    second = await tiktok.fault("any", "hang")
    faults = await tiktok.read("faults")
    assert faults[0] == {
        "id": first,
        "call": "init",
        "fault": {"kind": "reset", "taken": True},
        "times": 1,
        "after": 0,
        "probability": 1.0,
        "match": {"openId": None, "title": None, "publishId": None, "chunk": None},
        "met": 0,
        "struck": 0,
    }
    assert (await tiktok.http.delete(f"/_sandbox/faults/{first}")).status_code == 204
    assert (await tiktok.http.delete(f"/_sandbox/faults/{first}")).status_code == 404
    assert [fault["id"] for fault in await tiktok.read("faults")] == [second]
    assert (await tiktok.http.delete("/_sandbox/faults")).status_code == 204
    assert await tiktok.read("faults") == []


async def test_calls_are_recorded_in_their_order(
    tiktok: TikTok, clock: HandClock
) -> None:
    """Calls are recorded with time, account, verdict and parameters."""
    await tiktok.post(CREATOR)
    clock.seconds += 2.5
    publish_id = await tiktok.taken(title="A dog")
    await tiktok.status(publish_id)
    info, init, status = await tiktok.read("calls")
    assert (info["call"], info["at"]) == ("creator_info", 1_790_000_000.0)
    assert init == {
        "at": 1_790_000_002.5,
        "call": "init",
        "openId": "sandbox_user",
        "publishId": publish_id,
        "title": "A dog",
        "httpStatus": 200,
        "code": "ok",
        "taken": True,
        "fault": None,
        "body": tiktok.direct(title="A dog"),
    }
    assert (status["publishId"], status["title"]) == (publish_id, "A dog")


async def test_calls_can_be_chosen_and_forgotten(
    tiktok: TikTok, clock: HandClock
) -> None:
    """Calls can be chosen by endpoint, account and time."""
    await tiktok.account(openId="other", accessToken="act.other")
    await tiktok.post(CREATOR)
    clock.seconds += 1
    await tiktok.post(CREATOR, token="act.other")
    await tiktok.init()
    assert len(await tiktok.read("calls")) == 3
    assert len(await tiktok.read("calls", call="creator_info")) == 2
    assert len(await tiktok.read("calls", openId="other")) == 1
    assert len(await tiktok.read("calls", since=clock.seconds)) == 2
    assert (await tiktok.http.delete("/_sandbox/calls")).status_code == 204
    assert await tiktok.read("calls") == []


@pytest.mark.parametrize("query", ["call=like", "since=yesterday", "who=me"])
async def test_an_unknown_choice_is_refused(tiktok: TikTok, query: str) -> None:
    """A misspelt filter must not look like an empty result."""
    assert (await tiktok.http.get(f"/_sandbox/calls?{query}")).status_code == 422
    if query == "who=me":
        assert (await tiktok.http.get(f"/_sandbox/posts?{query}")).status_code == 422


async def test_no_record_holds_a_secret(tiktok: TikTok) -> None:
    """Tokens, codes and secrets are left out of the recorded body."""
    await tiktok.form(TOKEN, grant_type="refresh_token", refresh_token="rft.sandbox")
    await tiktok.form("/v2/oauth/revoke/", token="act.sandbox")
    (token, revoke) = await tiktok.read("calls")
    assert token["body"] == {
        "client_key": "sandbox_key",
        "grant_type": "refresh_token",
    }
    assert token["openId"] == revoke["openId"] == "sandbox_user"
    assert revoke["body"] == {"client_key": "sandbox_key"}


async def test_a_refused_call_is_recorded_as_not_taken(tiktok: TikTok) -> None:
    """A call with an unknown token belongs to nobody."""
    await tiktok.init("act.unknown")
    (call,) = await tiktok.read("calls")
    assert (call["openId"], call["taken"]) == (None, False)
    assert (call["httpStatus"], call["code"]) == (401, "access_token_invalid")


async def test_posts_can_be_read(tiktok: TikTok, clock: HandClock) -> None:
    """Posts can be read, all or by account, with ids as strings."""
    await tiktok.account(openId="other", accessToken="act.other")
    publish_id = await tiktok.taken()
    await tiktok.taken("act.other")
    await tiktok.settled()
    post, _ = await tiktok.read("posts")
    assert isinstance(post["postId"], str)
    assert post.pop("postIds") == [post.pop("postId")]
    assert len(post.pop("sha256")) == 64
    assert post == {
        "publishId": publish_id,
        "openId": "sandbox_user",
        "mode": "direct",
        "media": "video",
        "transfer": "pull",
        "title": "A cat",
        "description": None,
        "videoUrl": f"{tiktok.url}{VIDEO}",
        "photoUrls": [],
        "photos": [],
        "withdrawn": False,
        "uploadSize": None,
        "uploadedBytes": None,
        "uploadExpiresAt": None,
        "privacyLevel": "PUBLIC_TO_EVERYONE",
        "status": "PUBLISH_COMPLETE",
        "failReason": None,
        "takenAt": clock.seconds,
        "publishedAt": clock.seconds,
        "bytesPulled": 4096,
    }
    (others,) = await tiktok.read("posts", openId="other")
    assert others["openId"] == "other"
    assert await tiktok.read("posts", openId="nobody") == []


async def test_an_account_comes_with_its_token_pair(tiktok: TikTok) -> None:
    """Made up where nothing is said, as told where something is."""
    made_up = await tiktok.account()
    assert made_up["accessToken"].startswith("act.")
    assert made_up["refreshToken"].startswith("rft.")
    assert (made_up["expiresIn"], made_up["refreshExpiresIn"]) == (7200, 15_552_000)
    for feature in ("comment", "duet", "stitch"):
        assert made_up[f"{feature}Disabled"] is False
    told = await tiktok.account(
        openId="told",
        displayName="Told",
        privacyLevels=["SELF_ONLY"],
        commentDisabled=True,
        duetDisabled=True,
        stitchDisabled=True,
        maxVideoSeconds=60,
        accessToken="act.told",
        refreshToken="rft.told",
        expiresIn=0,
        refreshExpiresIn=5,
    )
    assert (told["accessToken"], told["expiresIn"]) == ("act.told", 0)
    assert code_of(await tiktok.post(CREATOR, token="act.told")) == (
        "access_token_invalid"
    )
    pair = await tiktok.form(
        TOKEN, grant_type="refresh_token", refresh_token="rft.told"
    )
    answer = await tiktok.post(CREATOR, token=pair.json()["access_token"])
    creator = answer.json()["data"]
    assert creator["privacy_level_options"] == ["SELF_ONLY"]
    for feature in ("comment", "duet", "stitch"):
        assert creator[f"{feature}_disabled"] is True
    assert creator["max_video_post_duration_sec"] == 60
    listed = {account["openId"]: account for account in await tiktok.read("accounts")}
    always = {"sandbox_user", "sandbox_user_2"}
    assert listed.keys() == {*always, made_up["openId"], "told"}
    assert not any("oken" in name for name in listed["told"])


async def test_replacing_an_account_ends_its_old_pair(tiktok: TikTok) -> None:
    """There is one grant per account."""
    await tiktok.account(openId="sandbox_user", accessToken="act.new")
    assert code_of(await tiktok.post(CREATOR)) == "access_token_invalid"
    assert code_of(await tiktok.post(CREATOR, token="act.new")) == "ok"


async def test_disconnecting_ends_the_grant(tiktok: TikTok) -> None:
    """As a user does in TikTok's own settings; nobody unknown can."""
    path = "/_sandbox/accounts/{}/disconnect"
    assert (await tiktok.http.post(path.format("nobody"))).status_code == 404
    assert (await tiktok.http.post(path.format("sandbox_user"))).status_code == 204
    assert code_of(await tiktok.post(CREATOR)) == "access_token_invalid"
    accounts = await tiktok.read("accounts")
    assert [account["connected"] for account in accounts] == [False, True]


async def test_settings_change_one_by_one(tiktok: TikTok) -> None:
    """Fields that are not named stay; the client secret is never shown."""
    before = (await tiktok.http.get("/_sandbox/settings")).json()
    assert "clientSecret" not in before
    answer = await tiktok.http.post(
        "/_sandbox/settings", json={"expiresIn": 60, "clientSecret": "hush"}
    )
    assert answer.json() == {**before, "expiresIn": 60}
    assert (await tiktok.account())["expiresIn"] == 60


@pytest.mark.parametrize(
    "body",
    [
        b'{"processingSeconds": -1}',
        b'{"webhookUrl": "nowhere"}',
        b'{"quotas": {"likes": 1}}',
        b'{"wetter": "rain"}',
        b"[]",
        b"{",
    ],
)
async def test_nonsense_in_the_settings_is_refused(tiktok: TikTok, body: bytes) -> None:
    """422, and nothing changes."""
    before = (await tiktok.http.get("/_sandbox/settings")).json()
    answer = await tiktok.http.post("/_sandbox/settings", content=body)
    assert answer.status_code == 422
    assert answer.json()["detail"]
    assert (await tiktok.http.get("/_sandbox/settings")).json() == before


async def test_a_refusal_never_echoes_what_was_sent(tiktok: TikTok) -> None:
    """A wrong value may be a secret in the wrong place, so it is not repeated."""
    answer = await tiktok.http.post(
        "/_sandbox/settings", json={"expiresIn": "hush-hush", "clientSecret": 7}
    )
    assert answer.status_code == 422
    assert "hush" not in answer.text


async def test_a_reset_goes_back_to_the_start(tiktok: TikTok) -> None:
    """Posts, calls, faults, accounts and settings; the default account lives."""
    await tiktok.account(openId="other")
    await tiktok.fault("any", "hang", rule={"after": 99})
    await tiktok.fault("init", "processing", seconds=3600)
    await tiktok.settings(expiresIn=1)
    await tiktok.taken()
    await tiktok.form("/v2/oauth/revoke/", token="act.sandbox")
    assert (await tiktok.http.post("/_sandbox/reset")).status_code == 204
    await tiktok.settled()
    for name in ("posts", "calls", "faults", "webhooks"):
        assert await tiktok.read(name) == []
    accounts = await tiktok.read("accounts")
    people = ["sandbox_user", "sandbox_user_2"]
    assert [account["openId"] for account in accounts] == people
    assert (await tiktok.http.get("/_sandbox/settings")).json()["expiresIn"] == 7200
    assert code_of(await tiktok.post(CREATOR)) == "ok"


async def test_it_says_that_it_lives(tiktok: TikTok) -> None:
    """The simulator says that it is up."""
    answer = await tiktok.http.get("/_sandbox/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("span", "status", "length", "content_range"),
    [
        (None, 200, 1000, None),
        ("bytes=0-99", 206, 100, "bytes 0-99/1000"),
        ("bytes=990-", 206, 10, "bytes 990-999/1000"),
        ("bytes=-10", 206, 10, "bytes 990-999/1000"),
        ("bytes=990-5000", 206, 10, "bytes 990-999/1000"),
        ("bytes=1000-", 416, 0, "bytes */1000"),
        ("bytes=-", 416, 0, "bytes */1000"),
        ("lines=1-2", 416, 0, "bytes */1000"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_the_video_can_be_had_in_parts(
    tiktok: TikTok,
    method: str,
    span: str | None,
    status: int,
    length: int,
    content_range: str | None,
) -> None:
    """Range and HEAD work as on a CDN."""
    headers: dict[str, Any] = {} if span is None else {"Range": span}
    answer = await tiktok.http.request(method, f"{VIDEO}?bytes=1000", headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-length"] == str(length)
    assert answer.headers.get("content-range") == content_range
    assert len(answer.content) == (length if method == "GET" else 0)


async def test_the_video_starts_like_an_mp4(tiktok: TikTok) -> None:
    """Whole and in parts it is the same bytes."""
    whole = (await tiktok.http.get(f"{VIDEO}?bytes=100")).content
    part = await tiktok.http.get(f"{VIDEO}?bytes=100", headers={"Range": "bytes=4-7"})
    assert whole[4:8] == part.content == b"ftyp"
    assert part.headers["content-type"] == "video/mp4"


async def test_bad_videos_can_be_asked_for(tiktok: TikTok) -> None:
    """A missing one, and one that is elsewhere."""
    assert (await tiktok.http.get(f"{VIDEO}?status=404")).status_code == 404
    moved = await tiktok.http.get(f"{VIDEO}?redirect=1")
    assert (moved.status_code, moved.headers["location"]) == (302, VIDEO)
