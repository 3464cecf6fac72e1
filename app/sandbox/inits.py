"""The two inits for videos, which are pulled from a URL or uploaded."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.sandbox.accounts import Account
from app.sandbox.answers import Answer, failure, ok
from app.sandbox.lifecycle import start
from app.sandbox.post_info import (
    TITLE_UNITS,
    part_of,
    problem_of_audience,
    problem_of_flags,
    problem_of_text,
    problem_of_urls,
)
from app.sandbox.posts import Mode, Post, PostStatus, upload_id_of
from app.sandbox.request import ApiRequest, text_of
from app.sandbox.state import Sandbox
from app.sandbox.upload import UPLOAD_PATH, Plan, Upload

FLAGS = (
    "disable_comment",
    "disable_duet",
    "disable_stitch",
    "brand_content_toggle",
    "brand_organic_toggle",
    "is_aigc",
)
UPLOADING, DOWNLOADING = PostStatus.PROCESSING_UPLOAD, PostStatus.PROCESSING_DOWNLOAD
SIZES = ("video_size", "chunk_size", "total_chunk_count")


@dataclass(frozen=True, slots=True)
class Pull:
    """Name the URL that the video is pulled from."""

    url: str


def init_direct(sandbox: Sandbox, account: Account, request: ApiRequest) -> Answer:
    """Take a direct post: pull its video, or give a URL to upload it to.

    https://developers.tiktok.com/doc/content-posting-api-reference-direct-post
    """
    body = request.body or {}
    info = body.get("post_info")
    if not isinstance(info, dict):
        return failure("invalid_params", "post_info is required.")
    problem = _problem_of_info(info, account)
    return problem or _take(sandbox, account, request, Mode.DIRECT)


def init_inbox(sandbox: Sandbox, account: Account, request: ApiRequest) -> Answer:
    """Take a draft for the creator's inbox.

    https://developers.tiktok.com/doc/content-posting-api-reference-upload-video
    """
    return _take(sandbox, account, request, Mode.INBOX)


def _take(
    sandbox: Sandbox, account: Account, request: ApiRequest, mode: Mode
) -> Answer:
    body = request.body or {}
    source = _source_of(sandbox, part_of(body, "source_info"))
    if isinstance(source, Answer):
        return source
    post = _post(sandbox, account, request, mode, source)
    sandbox.posts.add(post)
    start(sandbox, post)
    data = {"publish_id": post.publish_id}
    if post.upload is not None:
        base = sandbox.settings.upload_base_url or request.base_url
        data["upload_url"] = _upload_url(base, post, post.upload)
    return ok(data, publish_id=post.publish_id)


def _post(
    sandbox: Sandbox,
    account: Account,
    request: ApiRequest,
    mode: Mode,
    source: Pull | Plan,
) -> Post:
    now, info = sandbox.now(), part_of(request.body or {}, "post_info")
    pushed = isinstance(source, Plan)
    lifetime = sandbox.settings.upload_lifetime_seconds
    return Post(
        publish_id=sandbox.posts.new_publish_id(_prefix(mode, pushed), now=now),
        open_id=account.open_id,
        mode=mode,
        video_url=source.url if isinstance(source, Pull) else None,
        taken_at=now,
        title=text_of(info.get("title")),
        privacy_level=text_of(info.get("privacy_level")),
        status=UPLOADING if pushed else DOWNLOADING,
        upload=Upload(source, now + lifetime) if isinstance(source, Plan) else None,
        processing=request.drawn.processing,
        webhooks=request.drawn.webhook,
    )


def _prefix(mode: Mode, pushed: bool) -> str:
    if mode is Mode.DIRECT:
        return "v_pub_file~v2-1" if pushed else "v_pub_url~v2"
    return "v_inbox_file~v2" if pushed else "v_inbox_url~v2"


def _upload_url(base: str, post: Post, upload: Upload) -> str:
    query = f"upload_id={upload_id_of(post)}&upload_token={upload.token}"
    return f"{base}{UPLOAD_PATH}?{query}"


def _problem_of_info(info: Mapping[str, object], account: Account) -> Answer | None:
    cover = info.get("video_cover_timestamp_ms", 0)
    problem = problem_of_text(info, "title", TITLE_UNITS)
    if problem is None and (not isinstance(cover, int) or isinstance(cover, bool)):
        problem = failure("invalid_params", "video_cover_timestamp_ms is no int32.")
    problem = problem or problem_of_flags(info, FLAGS)
    return problem or problem_of_audience(info, account)


def _source_of(sandbox: Sandbox, source: Mapping[str, object]) -> Pull | Plan | Answer:
    if source.get("source") == "FILE_UPLOAD":
        return _plan_of(sandbox, source)
    if source.get("source") != "PULL_FROM_URL":
        return failure("invalid_params", "source is missing or unknown.")
    url = source.get("video_url")
    problem = problem_of_urls(sandbox, [url], "video_url")
    return problem or Pull(str(url))


def _plan_of(sandbox: Sandbox, source: Mapping[str, object]) -> Plan | Answer:
    sizes = [source.get(name) for name in SIZES]
    for name, size in zip(SIZES, sizes, strict=True):
        if not isinstance(size, int) or isinstance(size, bool):
            return failure("invalid_params", f"{name} is no int64.")
    plan = Plan(*(size for size in sizes if isinstance(size, int)))
    problem = plan.problem(sandbox.settings)
    return plan if problem is None else failure("invalid_params", problem)
