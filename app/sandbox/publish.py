"""The Content Posting API beside the inits: creator_info, status, cancel."""

from app.sandbox.accounts import Account
from app.sandbox.answers import Answer, failure, ok
from app.sandbox.lifecycle import cancel_download
from app.sandbox.posts import Post, PostStatus
from app.sandbox.request import ApiRequest
from app.sandbox.state import Sandbox


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


def status(sandbox: Sandbox, account: Account, request: ApiRequest) -> Answer:
    """Tell how far a post is.

    https://developers.tiktok.com/doc/content-posting-api-reference-get-video-status
    """
    post = _find(sandbox, account, request)
    if isinstance(post, Answer):
        return post
    return ok(_progress(post), publish_id=post.publish_id)


def cancel(sandbox: Sandbox, account: Account, request: ApiRequest) -> Answer:
    """Stop a pull that still downloads; only its later FAILED proves that it did.

    https://developers.tiktok.com/doc/content-posting-api-reference-cancel
    """
    post = _find(sandbox, account, request)
    if isinstance(post, Answer):
        return post
    if not post.downloading:
        return failure("publish_not_cancellable")
    cancel_download(sandbox, post)
    return ok({}, publish_id=post.publish_id)


def _find(sandbox: Sandbox, account: Account, request: ApiRequest) -> Post | Answer:
    publish_id = request.text("publish_id")
    if publish_id is None:
        return failure("invalid_params", "publish_id is required.")
    post = sandbox.posts.get(publish_id)
    if post is None:
        return failure("invalid_publish_id")
    if post.open_id != account.open_id:
        return failure("token_not_authorized_for_specified_publish_id")
    return post


def _progress(post: Post) -> dict[str, object]:
    plan, data = post.processing, _bytes_of(post)
    if post.in_progress and plan and plan.shown_status:
        data["status"] = plan.shown_status
    if post.in_progress and plan and plan.shown_reason:
        data["fail_reason"] = plan.shown_reason
    if post.status is PostStatus.FAILED:
        data["fail_reason"] = post.fail_reason
    if post.status is PostStatus.PUBLISH_COMPLETE:
        # TikTok's own spelling; int64 as JSON numbers.
        ids = [number for number in post.post_ids if number not in post.withheld]
        data["publicaly_available_post_id"] = ids
    return data


def _bytes_of(post: Post) -> dict[str, object]:
    if post.upload is not None:
        return {"status": post.status, "uploaded_bytes": post.upload.taken.count}
    return {"status": post.status, "downloaded_bytes": post.bytes_pulled}
