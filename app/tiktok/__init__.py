"""TikTok's API: one method per endpoint, answers as values, never an exception."""

from app.tiktok.client import NOT_CONFIGURED, Calls, TikTok
from app.tiktok.codes import fault_of_fail_reason
from app.tiktok.endpoint import Endpoint, OnCall
from app.tiktok.oauth import authorize_url, code_challenge
from app.tiktok.values import (
    CreatorInfo,
    InitTaken,
    PublishState,
    PublishStatus,
    TokenGrant,
    UploadTaken,
    UserInfo,
    Video,
    VideoPage,
)

__all__ = [
    "NOT_CONFIGURED",
    "Calls",
    "CreatorInfo",
    "Endpoint",
    "InitTaken",
    "OnCall",
    "PublishState",
    "PublishStatus",
    "TikTok",
    "TokenGrant",
    "UploadTaken",
    "UserInfo",
    "Video",
    "VideoPage",
    "authorize_url",
    "code_challenge",
    "fault_of_fail_reason",
]
