"""The Content Posting API: creator_info, the two inits, status."""

from collections.abc import Mapping

from app.sandbox.accounts import PRIVACY_LEVELS, Account
from app.sandbox.answers import Answer, failure, ok
from app.sandbox.lifecycle import start
from app.sandbox.posts import Mode, Post, PostStatus
from app.sandbox.request import ApiRequest, text_of
from app.sandbox.state import Sandbox

TITLE_UNITS = 2200
"""The longest caption, in UTF-16 code units."""

FLAGS = (
    "disable_comment",
    "disable_duet",
    "disable_stitch",
    "brand_content_toggle",
    "brand_organic_toggle",
    "is_aigc",
)


def creator_info(_: Sandbox, account: Account, __: ApiRequest) -> Answer:
    """Tell what this creator may choose from.

    https://developers.tiktok.com/doc/content-posting-api-reference-query-creator-info
    """
    return ok(
        {
            "creator_avatar_url": f"https://p16.tiktokcdn.com/{account.username}.webp",
            "creator_username": account.username,
            "creator_nickname": account.display_name,
            "privacy_level_options": account.privacy_levels,
            "comment_disabled": account.comment_disabled,
            "duet_disabled": account.duet_disabled,
            "stitch_disabled": account.stitch_disabled,
            "max_video_post_duration_sec": account.max_video_seconds,
        }
    )


def init_direct(sandbox: Sandbox, account: Account, request: ApiRequest) -> Answer:
    """Take a direct post and start to pull its video.

    https://developers.tiktok.com/doc/content-posting-api-reference-direct-post
    """
    body = request.body or {}
    info = body.get("post_info")
    if not isinstance(info, dict):
        return failure("invalid_params", "post_info is required.")
    problem = _problem_of_info(info, account) or _problem_of_source(body)
    return problem or _take(sandbox, account, request, Mode.DIRECT)


def init_inbox(sandbox: Sandbox, account: Account, request: ApiRequest) -> Answer:
    """Take a draft for the creator's inbox and start to pull its video.

    https://developers.tiktok.com/doc/content-posting-api-reference-upload-video
    """
    problem = _problem_of_source(request.body or {})
    return problem or _take(sandbox, account, request, Mode.INBOX)


def status(sandbox: Sandbox, account: Account, request: ApiRequest) -> Answer:
    """Tell how far a post is.

    https://developers.tiktok.com/doc/content-posting-api-reference-get-video-status
    """
    publish_id = request.text("publish_id")
    if publish_id is None:
        return failure("invalid_params", "publish_id is required.")
    post = sandbox.posts.get(publish_id)
    if post is None:
        return failure("invalid_publish_id")
    if post.open_id != account.open_id:
        return failure("token_not_authorized_for_specified_publish_id")
    return ok(_progress(post), publish_id=publish_id)


def _progress(post: Post) -> dict[str, object]:
    data: dict[str, object] = {
        "status": post.status,
        "downloaded_bytes": post.bytes_pulled,
    }
    if post.status is PostStatus.FAILED:
        data["fail_reason"] = post.fail_reason
    if post.status is PostStatus.PUBLISH_COMPLETE:
        # TikTok's own spelling; int64 as JSON numbers.
        data["publicaly_available_post_id"] = [post.post_id] if post.post_id else []
    return data


def _take(
    sandbox: Sandbox, account: Account, request: ApiRequest, mode: Mode
) -> Answer:
    now, body = sandbox.now(), request.body or {}
    info, source = _part(body, "post_info"), _part(body, "source_info")
    post = Post(
        publish_id=sandbox.posts.new_publish_id(mode, now=now),
        open_id=account.open_id,
        mode=mode,
        video_url=str(source["video_url"]),
        taken_at=now,
        title=text_of(info.get("title")),
        privacy_level=text_of(info.get("privacy_level")),
        processing=request.drawn.processing,
        webhooks=request.drawn.webhook,
    )
    sandbox.posts.add(post)
    start(sandbox, post)
    return ok({"publish_id": post.publish_id}, publish_id=post.publish_id)


def _problem_of_info(info: Mapping[str, object], account: Account) -> Answer | None:
    level, title = info.get("privacy_level"), info.get("title", "")
    if not isinstance(title, str) or _utf16_units(title) > TITLE_UNITS:
        return failure("invalid_params", "title is no text of 2200 UTF-16 units.")
    if level not in PRIVACY_LEVELS:
        return failure("invalid_params", "privacy_level is missing or unknown.")
    cover = info.get("video_cover_timestamp_ms", 0)
    if not isinstance(cover, int) or isinstance(cover, bool):
        return failure("invalid_params", "video_cover_timestamp_ms is no int32.")
    for flag in FLAGS:
        if not isinstance(info.get(flag, False), bool):
            return failure("invalid_params", f"{flag} is no boolean.")
    if level not in account.privacy_levels:
        return failure("privacy_level_option_mismatch")
    return None


def _problem_of_source(body: Mapping[str, object]) -> Answer | None:
    source = _part(body, "source_info")
    if source.get("source") != "PULL_FROM_URL":
        return failure("invalid_params", "The simulator takes PULL_FROM_URL only.")
    url = text_of(source.get("video_url"))
    if url is None or not url.startswith(("https://", "http://")):
        return failure("invalid_params", "video_url is no URL.")
    return None


def _part(body: Mapping[str, object], name: str) -> Mapping[str, object]:
    part = body.get(name)
    return part if isinstance(part, dict) else {}


def _utf16_units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
