"""TikTok's routes, each behind the gate."""

from starlette.routing import Route

from app.sandbox import authorize, display, inits, oauth, photos, publish
from app.sandbox.display import BASIC, PROFILE, STATS
from app.sandbox.gate import Gate, Handler, bearer
from app.sandbox.recording import Call
from app.sandbox.state import Sandbox
from app.sandbox.upload import UPLOAD_PATH
from app.sandbox.upload_gate import UploadGate

PUBLISH, UPLOAD, LIST = "video.publish", "video.upload", "video.list"

HANDLERS: dict[Call, tuple[str, str, Handler]] = {
    Call.AUTHORIZE: ("GET", "/v2/auth/authorize/", authorize.authorize),
    Call.TOKEN: ("POST", "/v2/oauth/token/", oauth.token),
    Call.REVOKE: ("POST", "/v2/oauth/revoke/", oauth.revoke),
    Call.USER_INFO: (
        "GET",
        "/v2/user/info/",
        bearer(display.user_info, BASIC, PROFILE, STATS),
    ),
    Call.VIDEO_LIST: ("POST", "/v2/video/list/", bearer(display.video_list, LIST)),
    Call.CREATOR_INFO: (
        "POST",
        "/v2/post/publish/creator_info/query/",
        bearer(publish.creator_info, PUBLISH),
    ),
    Call.INIT: (
        "POST",
        "/v2/post/publish/video/init/",
        bearer(inits.init_direct, PUBLISH),
    ),
    Call.INBOX_INIT: (
        "POST",
        "/v2/post/publish/inbox/video/init/",
        bearer(inits.init_inbox, UPLOAD),
    ),
    Call.CONTENT_INIT: (
        "POST",
        "/v2/post/publish/content/init/",
        bearer(photos.init_photos, PUBLISH, UPLOAD),
    ),
    Call.STATUS: (
        "POST",
        "/v2/post/publish/status/fetch/",
        bearer(publish.status, PUBLISH, UPLOAD),
    ),
    Call.CANCEL: (
        "POST",
        "/v2/post/publish/cancel/",
        bearer(publish.cancel, PUBLISH, UPLOAD),
    ),
}


def tiktok_routes(sandbox: Sandbox) -> list[Route]:
    """List TikTok's routes; paths keep their trailing slash, as TikTok's do."""
    calls = [
        Route(path, Gate(sandbox, call, handler), methods=[method], name=call)
        for call, (method, path, handler) in HANDLERS.items()
    ]
    upload = UploadGate(sandbox)
    return [*calls, Route(UPLOAD_PATH, upload, methods=["PUT"], name=Call.UPLOAD)]
