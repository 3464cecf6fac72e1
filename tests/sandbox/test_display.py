"""User info and the list of public videos."""

import pytest

from tests.sandbox.support import USER, VIDEOS, HandClock, TikTok, code_of

FIELDS = VIDEOS + "?fields=id,create_time,title,share_url"


async def user(
    tiktok: TikTok, fields: str, token: str = "act.sandbox"
) -> dict[str, object]:
    """Ask who the user is."""
    headers = {"Authorization": f"Bearer {token}"}
    answer = await tiktok.http.get(USER, params={"fields": fields}, headers=headers)
    body: dict[str, object] = answer.json()
    return body


async def test_user_info_gives_the_fields_asked_for(tiktok: TikTok) -> None:
    """user/info gives exactly the fields that were asked for."""
    answer = await user(tiktok, "open_id,display_name,video_count")
    assert answer["data"] == {
        "user": {
            "open_id": "sandbox_user",
            "display_name": "Sandbox User",
            "video_count": 0,
        }
    }


@pytest.mark.parametrize("fields", ["", "open_id,shoe_size"])
async def test_user_info_refuses_unknown_fields(tiktok: TikTok, fields: str) -> None:
    """No field or a made-up one is invalid_params."""
    answer = await user(tiktok, fields)
    assert answer["error"] == {**_error(answer), "code": "invalid_params"}


async def test_user_info_wants_the_scope_of_each_field(tiktok: TikTok) -> None:
    """The user name belongs to user.info.profile."""
    await tiktok.account(openId="o", accessToken="act.o", scopes=["user.info.basic"])
    assert _error(await user(tiktok, "display_name", "act.o"))["code"] == "ok"
    refused = await user(tiktok, "display_name,username", "act.o")
    assert _error(refused)["code"] == "scope_not_authorized"


async def test_only_public_videos_are_listed_newest_first(
    tiktok: TikTok, clock: HandClock
) -> None:
    """Private posts, drafts and other people's posts stay out; ids are strings."""
    await tiktok.account(openId="other", accessToken="act.other")
    await tiktok.taken(title="old")
    await tiktok.settled()
    clock.seconds += 5
    await tiktok.taken(title="new " * 100)
    await tiktok.taken(title="secret", privacy_level="SELF_ONLY")
    await tiktok.taken("act.other", title="theirs")
    await tiktok.settled()
    answer = (await tiktok.post(FIELDS, {})).json()["data"]
    posts = {post["title"]: post for post in await tiktok.read("posts")}
    new, old = answer["videos"]
    assert new["title"] == ("new " * 100)[:150]
    assert old == {
        "id": posts["old"]["postId"],
        "create_time": 1_790_000_000,
        "title": "old",
        "share_url": "https://www.tiktok.com/@sandbox_user/video/"
        + posts["old"]["postId"],
    }
    assert answer["has_more"] is False


async def test_the_list_is_paged_by_its_cursor(
    tiktok: TikTok, clock: HandClock
) -> None:
    """Each page goes on before the cursor; has_more ends it."""
    for number in range(5):
        await tiktok.taken(title=str(number))
        await tiktok.settled()
        clock.seconds += 1
    titles, cursor, pages = [], None, 0
    while True:
        body = (
            {"max_count": 2} if cursor is None else {"max_count": 2, "cursor": cursor}
        )
        page = (await tiktok.post(FIELDS, body)).json()["data"]
        titles += [video["title"] for video in page["videos"]]
        cursor, pages = page["cursor"], pages + 1
        if not page["has_more"]:
            break
    assert (titles, pages) == (["4", "3", "2", "1", "0"], 3)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (VIDEOS, {}),
        (VIDEOS + "?fields=id,nonsense", {}),
        (FIELDS, {"max_count": 21}),
        (FIELDS, {"max_count": 0}),
        (FIELDS, {"max_count": "2"}),
        (FIELDS, {"cursor": "now"}),
    ],
)
async def test_a_malformed_list_is_refused(
    tiktok: TikTok, path: str, body: dict[str, object]
) -> None:
    """Fields are required; counts go from 1 to 20."""
    answer = await tiktok.post(path, body)
    assert (answer.status_code, code_of(answer)) == (400, "invalid_params")


def _error(answer: dict[str, object]) -> dict[str, object]:
    error = answer["error"]
    assert isinstance(error, dict)
    return error
