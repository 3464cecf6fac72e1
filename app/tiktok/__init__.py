"""TikTok's API: one method per endpoint, answers as values, never an exception."""

from app.tiktok.client import NOT_CONFIGURED, Calls, TikTok
from app.tiktok.decode import fault_of_fail_reason
from app.tiktok.encode import authorize_url, code_challenge
from app.tiktok.upload_answers import (
    ChunkRequest,
    ChunkVerdict,
    UploadAnswer,
    upload_type,
    verdict_on,
)
from app.tiktok.values import (
    InitTaken,
    PublishState,
    PublishStatus,
    TokenGrant,
    UploadTaken,
    UserInfo,
    Video,
    VideoPage,
)
from app.tiktok.wire import Endpoint, OnCall

__all__ = [
    "NOT_CONFIGURED",
    "Calls",
    "ChunkRequest",
    "ChunkVerdict",
    "Endpoint",
    "InitTaken",
    "OnCall",
    "PublishState",
    "PublishStatus",
    "TikTok",
    "TokenGrant",
    "UploadAnswer",
    "UploadTaken",
    "UserInfo",
    "Video",
    "VideoPage",
    "authorize_url",
    "code_challenge",
    "fault_of_fail_reason",
    "upload_type",
    "verdict_on",
]
