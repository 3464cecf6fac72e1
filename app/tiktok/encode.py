"""Make the requests to TikTok, one function per endpoint, and its consent page's URL.

Trailing slashes are part of TikTok's paths.
https://developers.tiktok.com/doc/tiktok-api-v2-introduction
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final, assert_never
from urllib.parse import quote_plus, urlencode

import msgspec

from app.domain.posts.post import Post, PostMode
from app.domain.posts.upload import ChunkPlan
from app.tiktok.text import well_formed
from app.tiktok.wire import ApiRequest

_JSON_TYPE: Final = "application/json; charset=UTF-8"
_FORM_TYPE: Final = "application/x-www-form-urlencoded"
_PROFILE_SCOPE: Final = "user.info.profile"
_VIDEO_FIELDS: Final = "id,title,video_description,create_time,share_url"
_PHOTO_MODES: Final = {PostMode.DIRECT: "DIRECT_POST", PostMode.INBOX: "MEDIA_UPLOAD"}
_VIDEOS_PER_PAGE: Final = 20  # TikTok's maximum


def creator_info(access_token: str) -> ApiRequest:
    """Ask what the creator may choose.

    https://developers.tiktok.com/doc/content-posting-api-reference-query-creator-info
    """
    return _post("/v2/post/publish/creator_info/query/", access_token)


def init(access_token: str, post: Post, video_url: str) -> ApiRequest:
    """Ask TikTok to pull a video and publish it, or to make a draft of it.

    https://developers.tiktok.com/doc/content-posting-api-reference-direct-post
    https://developers.tiktok.com/doc/content-posting-api-reference-upload-video
    """
    source = {"source": "PULL_FROM_URL", "video_url": video_url}
    return _video_init(access_token, post, source)


def upload_init(access_token: str, post: Post, plan: ChunkPlan) -> ApiRequest:
    """Ask TikTok where to upload a video to publish, or to make a draft of.

    https://developers.tiktok.com/doc/content-posting-api-media-transfer-guide
    """
    source = {
        "source": "FILE_UPLOAD",
        "video_size": plan.size,
        "chunk_size": plan.chunk_size,
        "total_chunk_count": plan.count,
    }
    return _video_init(access_token, post, source)


def photo_init(access_token: str, post: Post, urls: Sequence[str]) -> ApiRequest:
    """Ask TikTok to pull photos and publish them, or to make a draft of them.

    https://developers.tiktok.com/doc/content-posting-api-reference-photo-post
    """
    body: dict[str, Any] = {
        "media_type": "PHOTO",
        "post_mode": _PHOTO_MODES[post.mode],
        "post_info": _photo_info(post),
        "source_info": {
            "source": "PULL_FROM_URL",
            "photo_images": list(urls),
            "photo_cover_index": post.photo_cover_index,
        },
    }
    if post.mode is PostMode.DIRECT:
        body["is_aigc"] = post.is_aigc  # not in post_info, unlike for a video
    return _post("/v2/post/publish/content/init/", access_token, body, once=True)


def cancel(access_token: str, publish_id: str) -> ApiRequest:
    """Ask TikTok to cancel a publish that it is still pulling.

    https://developers.tiktok.com/doc/content-posting-api-reference-get-video-status
    """
    body = {"publish_id": publish_id}
    return _post("/v2/post/publish/cancel/", access_token, body)


def status(access_token: str, publish_id: str) -> ApiRequest:
    """Ask how far a publish has got.

    https://developers.tiktok.com/doc/content-posting-api-reference-get-video-status
    """
    body = {"publish_id": publish_id}
    return _post("/v2/post/publish/status/fetch/", access_token, body)


def user_info(access_token: str, *, scopes: Collection[str]) -> ApiRequest:
    """Ask who the account is, as far as its scopes allow.

    https://developers.tiktok.com/doc/tiktok-api-v2-get-user-info
    """
    fields = ["open_id", "display_name", "avatar_url"]
    if _PROFILE_SCOPE in scopes:
        fields.append("username")
    return ApiRequest(
        method="GET",
        path=f"/v2/user/info/?fields={','.join(fields)}",
        headers={"Authorization": f"Bearer {access_token}"},
        secrets=(access_token,),
    )


def list_videos(access_token: str, *, cursor: int | None) -> ApiRequest:
    """Ask for a page of the account's public videos, newest first.

    https://developers.tiktok.com/doc/tiktok-api-v2-video-list
    """
    body = {"max_count": _VIDEOS_PER_PAGE}
    if cursor is not None:
        body["cursor"] = cursor
    return _post(f"/v2/video/list/?fields={_VIDEO_FIELDS}", access_token, body)


def refresh(refresh_token: str, *, client_key: str, client_secret: str) -> ApiRequest:
    """Trade a refresh token, which ends with it, for a new pair.

    https://developers.tiktok.com/doc/oauth-user-access-token-management
    """
    form = {
        "client_key": client_key,
        "client_secret": client_secret,
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
    }
    secrets = (client_secret, refresh_token)
    return _form("/v2/oauth/token/", form, secrets, once=True)


def exchange_code(
    code: str,
    *,
    redirect_uri: str,
    code_verifier: str | None,
    client_key: str,
    client_secret: str,
) -> ApiRequest:
    """Trade an authorization code, which works once, for a pair of tokens.

    https://developers.tiktok.com/doc/oauth-user-access-token-management
    """
    form = {
        "client_key": client_key,
        "client_secret": client_secret,
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
    }
    if code_verifier is not None:
        form["code_verifier"] = code_verifier
    secrets = (client_secret, code, code_verifier or "")
    return _form("/v2/oauth/token/", form, secrets, once=True)


def revoke(access_token: str, *, client_key: str, client_secret: str) -> ApiRequest:
    """Revoke a grant.

    https://developers.tiktok.com/doc/oauth-user-access-token-management
    """
    form = {
        "client_key": client_key,
        "client_secret": client_secret,
        "token": access_token,
    }
    return _form("/v2/oauth/revoke/", form, (client_secret, access_token))


def _video_init(access_token: str, post: Post, source: Mapping[str, Any]) -> ApiRequest:
    body: dict[str, Any] = {"source_info": source}
    match post.mode:
        case PostMode.DIRECT:
            path = "/v2/post/publish/video/init/"
            body["post_info"] = _post_info(post)
        case PostMode.INBOX:  # a video draft takes no caption
            path = "/v2/post/publish/inbox/video/init/"
        case _:
            assert_never(post.mode)
    # Repeated, an upload's would post nothing twice, but it has one permit only.
    return _post(path, access_token, body, once=True)


def _photo_info(post: Post) -> dict[str, Any]:
    info: dict[str, Any] = {
        "title": well_formed(post.title),
        "description": well_formed(post.description),
    }
    if post.mode is PostMode.INBOX:  # the person chooses the rest in TikTok's app
        return info
    info |= {
        "disable_comment": post.disable_comment,
        "auto_add_music": post.auto_add_music,
        "brand_content_toggle": post.brand_content_toggle,
        "brand_organic_toggle": post.brand_organic_toggle,
    }
    if post.privacy_level is not None:
        info["privacy_level"] = post.privacy_level.value
    return info


def _post_info(post: Post) -> dict[str, Any]:
    info: dict[str, Any] = {
        "title": well_formed(post.title),
        "disable_comment": post.disable_comment,
        "disable_duet": post.disable_duet,
        "disable_stitch": post.disable_stitch,
        "brand_content_toggle": post.brand_content_toggle,
        "brand_organic_toggle": post.brand_organic_toggle,
        "is_aigc": post.is_aigc,
    }
    if post.privacy_level is not None:
        info["privacy_level"] = post.privacy_level.value
    if post.video_cover_timestamp_ms is not None:
        info["video_cover_timestamp_ms"] = post.video_cover_timestamp_ms
    return info


def _post(
    path: str,
    access_token: str,
    body: Mapping[str, Any] | None = None,
    *,
    once: bool = False,
) -> ApiRequest:
    return ApiRequest(
        method="POST",
        path=path,
        headers={
            "Authorization": f"Bearer {access_token}",
            "Content-Type": _JSON_TYPE,
        },
        content=b"" if body is None else msgspec.json.encode(body),
        secrets=(access_token,),
        once=once,
    )


def _form(
    path: str, form: Mapping[str, str], secrets: tuple[str, ...], *, once: bool = False
) -> ApiRequest:
    return ApiRequest(
        method="POST",
        path=path,
        headers={"Content-Type": _FORM_TYPE},
        content=urlencode(form, errors="replace").encode(),
        # A refusal may quote the form.
        secrets=(*secrets, *(quote_plus(each, errors="replace") for each in secrets)),
        once=once,
    )


def authorize_url(
    base: str,
    *,
    client_key: str,
    redirect_uri: str,
    scopes: Iterable[str],
    state: str,
    code_challenge: str | None = None,
    disable_auto_auth: bool = False,
) -> str:
    """Return the address of the consent page.

    https://developers.tiktok.com/doc/login-kit-web
    """
    query = {
        "client_key": client_key,
        "response_type": "code",
        "scope": ",".join(scopes),
        "redirect_uri": redirect_uri,
        "state": state,
    }
    if code_challenge is not None:
        query |= {"code_challenge": code_challenge, "code_challenge_method": "S256"}
    if disable_auto_auth:
        # Without it a logged-in person cannot switch to another account.
        query["disable_auto_auth"] = "1"
    return f"{base}{'&' if '?' in base else '?'}{urlencode(query)}"


def code_challenge(verifier: str) -> str:
    """Return the PKCE challenge in TikTok's form: hex, where RFC 7636 has base64url.

    https://developers.tiktok.com/doc/login-kit-desktop
    """
    return sha256(verifier.encode()).hexdigest()
