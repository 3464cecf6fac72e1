"""The init for photos, which are always pulled.

https://developers.tiktok.com/doc/content-posting-api-reference-photo-post
"""

from collections.abc import Mapping

from app.sandbox.accounts import Account
from app.sandbox.answers import Answer, failure, ok
from app.sandbox.lifecycle import start
from app.sandbox.post_info import (
    part_of,
    problem_of_audience,
    problem_of_flags,
    problem_of_text,
    problem_of_urls,
)
from app.sandbox.posts import Media, Mode, Post
from app.sandbox.request import ApiRequest, text_of
from app.sandbox.state import Sandbox

TITLE_UNITS, DESCRIPTION_UNITS = 90, 4000
MAX_PHOTOS = 35
MODES = {"DIRECT_POST": Mode.DIRECT, "MEDIA_UPLOAD": Mode.INBOX}
SCOPES = {Mode.DIRECT: "video.publish", Mode.INBOX: "video.upload"}
FLAGS = (
    "disable_comment",
    "auto_add_music",
    "brand_content_toggle",
    "brand_organic_toggle",
)


def init_photos(sandbox: Sandbox, account: Account, request: ApiRequest) -> Answer:
    """Take a set of photos, as a post or as a draft, and start to pull them."""
    body = request.body or {}
    mode = MODES.get(str(body.get("post_mode")))
    if body.get("media_type") != "PHOTO" or mode is None:
        return failure("invalid_params", "media_type or post_mode is unknown.")
    if SCOPES[mode] not in sandbox.granted(request.token):
        return failure("scope_not_authorized")
    problem = _problem_of_info(body, account, mode) or _problem_of_source(sandbox, body)
    return problem or _take(sandbox, account, request, mode)


def _take(
    sandbox: Sandbox, account: Account, request: ApiRequest, mode: Mode
) -> Answer:
    now, body = sandbox.now(), request.body or {}
    info, source = part_of(body, "post_info"), part_of(body, "source_info")
    images = source["photo_images"]
    post = Post(
        publish_id=sandbox.posts.new_publish_id("p_pub_url~v2", now=now),
        open_id=account.open_id,
        mode=mode,
        video_url=None,
        taken_at=now,
        title=text_of(info.get("title")),
        privacy_level=text_of(info.get("privacy_level")),
        processing=request.drawn.processing,
        webhooks=request.drawn.webhook,
        media=Media.PHOTO,
        description=text_of(info.get("description")),
        photo_urls=tuple(images) if isinstance(images, list) else (),
    )
    sandbox.posts.add(post)
    start(sandbox, post)
    return ok({"publish_id": post.publish_id}, publish_id=post.publish_id)


def _problem_of_info(
    body: Mapping[str, object], account: Account, mode: Mode
) -> Answer | None:
    info = body.get("post_info", {})
    if not isinstance(info, dict):
        return failure("invalid_params", "post_info is no object.")
    problem = problem_of_text(info, "title", TITLE_UNITS)
    problem = problem or problem_of_text(info, "description", DESCRIPTION_UNITS)
    # Unlike a video's, the AI label of photos stands beside post_info, not in it.
    problem = problem or problem_of_flags(body, ("is_aigc",))
    if problem is not None or mode is Mode.INBOX:
        return problem
    return problem_of_flags(info, FLAGS) or problem_of_audience(info, account)


def _problem_of_source(sandbox: Sandbox, body: Mapping[str, object]) -> Answer | None:
    source = part_of(body, "source_info")
    if source.get("source") != "PULL_FROM_URL":
        return failure("invalid_params", "Photos are taken by PULL_FROM_URL only.")
    images, cover = source.get("photo_images"), source.get("photo_cover_index", 0)
    if not isinstance(images, list) or not 1 <= len(images) <= MAX_PHOTOS:
        return failure("invalid_params", "photo_images is no list of 1 to 35 URLs.")
    if not isinstance(cover, int) or isinstance(cover, bool):
        return failure("invalid_params", "photo_cover_index is no int32.")
    if not 0 <= cover < len(images):
        return failure("invalid_params", "photo_cover_index names no photo.")
    return problem_of_urls(sandbox, images, "photo_images")
