"""The Display API: who the user is, and which public videos there are."""

from collections.abc import Iterator, Mapping
from itertools import islice

from app.sandbox.accounts import Account
from app.sandbox.answers import Answer, failure, ok
from app.sandbox.posts import Media, Post
from app.sandbox.request import ApiRequest
from app.sandbox.state import Sandbox

BASIC, PROFILE, STATS = "user.info.basic", "user.info.profile", "user.info.stats"
SCOPE_OF_FIELD: Mapping[str, str] = {
    "open_id": BASIC,
    "union_id": BASIC,
    "avatar_url": BASIC,
    "avatar_url_100": BASIC,
    "avatar_large_url": BASIC,
    "display_name": BASIC,
    "username": PROFILE,
    "bio_description": PROFILE,
    "profile_deep_link": PROFILE,
    "is_verified": PROFILE,
    "follower_count": STATS,
    "following_count": STATS,
    "likes_count": STATS,
    "video_count": STATS,
}

VIDEO_FIELDS = frozenset(
    {
        "id",
        "create_time",
        "share_url",
        "title",
        "video_description",
        "cover_image_url",
        "duration",
        "height",
        "width",
        "embed_link",
        "like_count",
        "comment_count",
        "share_count",
        "view_count",
    }
)
DEFAULT_COUNT, MAX_COUNT = 10, 20
MAX_TEXT = 150
"""How much of a caption a video object shows, whatever its length.

https://developers.tiktok.com/doc/tiktok-api-v2-video-object
"""


def user_info(sandbox: Sandbox, account: Account, request: ApiRequest) -> Answer:
    """Tell the fields that were asked for.

    https://developers.tiktok.com/doc/tiktok-api-v2-get-user-info
    """
    fields = _fields(request)
    if not fields or not set(fields) <= SCOPE_OF_FIELD.keys():
        return failure("invalid_params", "fields is missing or unknown.")
    scopes = sandbox.granted(request.token)
    if any(SCOPE_OF_FIELD[field] not in scopes for field in fields):
        return failure("scope_not_authorized")
    user = _user(account, videos=sum(1 for _ in _public(sandbox, account)))
    return ok({"user": {field: user[field] for field in fields}})


def video_list(sandbox: Sandbox, account: Account, request: ApiRequest) -> Answer:
    """List public videos, newest first, by a cursor in epoch milliseconds.

    https://developers.tiktok.com/doc/tiktok-api-v2-video-list
    """
    body, fields = request.body or {}, _fields(request)
    count, cursor = body.get("max_count", DEFAULT_COUNT), body.get("cursor")
    if not fields or not set(fields) <= VIDEO_FIELDS:
        return failure("invalid_params", "fields is missing or unknown.")
    if not isinstance(count, int) or not 1 <= count <= MAX_COUNT:
        return failure("invalid_params", "max_count is not within 1 to 20.")
    if not isinstance(cursor, int | None):
        return failure("invalid_params", "cursor is no int64.")
    older = (
        post
        for post in _public(sandbox, account)
        if not cursor or _milliseconds(post) < cursor
    )
    page = list(islice(older, count))
    return ok(
        {
            "videos": [
                {field: _video(post, account)[field] for field in fields}
                for post in page
            ],
            "cursor": _milliseconds(page[-1]) if page else 0,
            "has_more": next(older, None) is not None,
        }
    )


def _user(account: Account, *, videos: int) -> Mapping[str, object]:
    avatar = f"https://p16.tiktokcdn.com/{account.username}.webp"
    return {
        "open_id": account.open_id,
        "union_id": f"union-{account.open_id}",
        "avatar_url": avatar,
        "avatar_url_100": avatar,
        "avatar_large_url": avatar,
        "display_name": account.display_name,
        "username": account.username,
        "bio_description": "",
        "profile_deep_link": f"https://vm.tiktok.com/{account.username}/",
        "is_verified": False,
        "follower_count": 0,
        "following_count": 0,
        "likes_count": 0,
        "video_count": videos,
    }


def _video(post: Post, account: Account) -> Mapping[str, object]:
    text = (post.title or "")[:MAX_TEXT]
    link = f"https://www.tiktok.com/@{account.username}/video/{post.post_id}"
    return {
        "id": str(post.post_id),
        "create_time": int(post.published_at or 0),
        "cover_image_url": f"https://p16.tiktokcdn.com/{post.post_id}.jpeg",
        "share_url": link,
        "video_description": text,
        "duration": 10,
        "height": 1024,
        "width": 576,
        "title": text,
        "embed_link": link,
        "like_count": 0,
        "comment_count": 0,
        "share_count": 0,
        "view_count": 0,
    }


def _public(sandbox: Sandbox, account: Account) -> Iterator[Post]:
    posts = [post for post in sandbox.posts.of(account.open_id) if _is_listed(post)]
    return iter(sorted(posts, key=_milliseconds, reverse=True))


def _is_listed(post: Post) -> bool:
    # Whether TikTok lists photos here is not documented: nobody must rely on it.
    return bool(post.post_id) and post.media is Media.VIDEO and not post.withdrawn


def _milliseconds(post: Post) -> int:
    return int((post.published_at or 0) * 1000)


def _fields(request: ApiRequest) -> list[str]:
    return [name for name in request.query.get("fields", "").split(",") if name]
