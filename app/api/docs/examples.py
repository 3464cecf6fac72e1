"""Examples for /docs: requests, which work with the simulator, and answers.

All routes use the same job and account.
"""

from typing import Any, Final

from fastapi.openapi.models import Example

from app.domain.posts.post import Post
from app.schemas.posts import PostAnswer

_PROJECT: Final = "proj_1"
_OPEN_ID: Final = "_000Qx7fF5KxGmCjYb2c0Zq1bX9fVd3hT2aB"
_SCHEDULED_FOR: Final = "2030-04-09T12:00:00.000Z"
_PUBLISH_ID: Final = "v_pub_url~v2-1.7491256318402349874"
_URL: Final = "https://cdn.example.com/v.mp4"
_SIMULATOR: Final = "http://127.0.0.1:9000/_sandbox/video.mp4"

JOBS: Final[dict[str, Example]] = {
    "scheduled": {
        "summary": "At a time",
        "value": {
            "projectId": "proj_1",
            "platform": "tiktok",
            "assetId": "asset_9",
            "assetUrl": _URL,
            "scheduledFor": "2030-04-09T12:00:00.000Z",
            "post": {
                "mode": "direct",
                "title": "Spring is here #garden",
                "privacyLevel": "SELF_ONLY",
                "disableComment": True,
                "disableDuet": True,
                "disableStitch": True,
            },
            "maxAttempts": 5,
        },
    },
    "simulator": {
        "summary": "On the simulator: Post Now, posted within seconds",
        "description": "Needs `ALLOW_PRIVATE_URLS=true` and the simulator's account.",
        "value": {
            "projectId": "proj_1",
            "assetId": "asset_sandbox",
            "assetUrl": _SIMULATOR,
            "post": {"title": "Hello", "privacyLevel": "PUBLIC_TO_EVERYONE"},
        },
    },
    "now": {
        "summary": "Post Now",
        "value": {
            "projectId": "proj_1",
            "assetId": "asset_10",
            "assetUrl": _URL,
            "post": {"title": "Right now", "privacyLevel": "SELF_ONLY"},
        },
    },
    "pushed": {
        "summary": "A video that is uploaded: TikTok need not know its site",
        "value": {
            "projectId": "proj_1",
            "assetId": "asset_12",
            "assetUrl": _URL,
            "transfer": "push",
            "post": {"title": "On its way", "privacyLevel": "SELF_ONLY"},
        },
    },
    "photos": {
        "summary": "Photos",
        "value": {
            "projectId": "proj_1",
            "assetId": "asset_13",
            "assetUrls": [
                "https://cdn.example.com/1.jpg",
                "https://cdn.example.com/2.jpg",
            ],
            "post": {
                "mediaType": "photo",
                "title": "Two tulips",
                "description": "From this morning",
                "photoCoverIndex": 1,
                "privacyLevel": "SELF_ONLY",
            },
        },
    },
    "draft": {
        "summary": "A draft for the inbox",
        "value": {
            "projectId": "proj_1",
            "assetId": "asset_11",
            "assetUrl": _URL,
            "post": {"mode": "inbox"},
        },
    },
}

BATCHES: Final[dict[str, Example]] = {
    "two": {
        "summary": "Two at a time",
        "value": {"items": [JOBS["scheduled"]["value"], JOBS["draft"]["value"]]},
    }
}

PATCHES: Final[dict[str, Example]] = {
    "later": {
        "summary": "Another time",
        "value": {"scheduledFor": "2030-04-10T08:30:00.000+02:00"},
    },
    "now": {"summary": "Post Now", "value": {"scheduledFor": None}},
    "caption": {
        "summary": "Another caption; the rest of the post stays",
        "value": {"post": {"title": "Spring is really here"}},
    },
}

RETRIES: Final[dict[str, Example]] = {
    "plain": {"summary": "Start it again", "value": {}},
    "risk": {
        "summary": "TikTok may have it already; post it all the same",
        "value": {"acceptDuplicateRisk": True},
    },
}

RETRY_FAILED: Final[dict[str, Example]] = {
    "reconnected": {
        "summary": "After the account was connected again",
        "value": {"failureReason": "auth"},
    }
}

CANCELS: Final[dict[str, Example]] = {
    "campaign": {
        "summary": "What you call a campaign, counted first",
        "value": {"externalId": "order-77", "dryRun": True},
    },
    "day": {
        "summary": "Everything of one day",
        "value": {
            "scheduledFrom": "2030-04-09T00:00:00.000Z",
            "scheduledTo": "2030-04-10T00:00:00.000Z",
        },
    },
}

HOLDS: Final[dict[str, Example]] = {
    "open": {
        "summary": "Until it is taken away",
        "value": {"reason": "The campaign is on hold; ask Kim"},
    },
    "weekend": {
        "summary": "Until a time",
        "value": {"reason": "Weekend", "until": "2030-04-15T08:00:00.000+02:00"},
    },
}

BROWSER_TOKENS: Final[dict[str, Example]] = {
    "watch": {
        "summary": "For an EventSource",
        "value": {"ttlSeconds": 600, "access": "read"},
    },
    "compose": {
        "summary": "For a compose page",
        "value": {"ttlSeconds": 3600, "access": "compose"},
    },
}

ACCOUNTS: Final[dict[str, Example]] = {
    "simulator": {
        "summary": "The simulator's account",
        "value": {
            "openId": "sandbox_user",
            "accessToken": "act.sandbox",
            "refreshToken": "rft.sandbox",
            "expiresIn": 7200,
            "refreshExpiresIn": 15552000,
            "scope": "user.info.basic,video.publish,video.upload",
        },
    }
}

CONNECTS: Final[dict[str, Example]] = {
    "plain": {"summary": "Come back to JSON", "value": {}},
    "page": {
        "summary": "Come back to a page of the frontend",
        "description": "Its origin has to be in `CORS_ORIGINS`.",
        "value": {"redirectTo": "https://app.example.com/settings"},
    },
    "bound": {
        "summary": "Only for the browser that begins",
        "description": "Send the browser to `startUrl`.",
        "value": {"redirectTo": "https://app.example.com/settings", "bind": True},
    },
}

TIKTOK_EVENTS: Final[dict[str, Any]] = {
    "published": {
        "summary": "A post went live",
        "value": {
            "client_key": "sandbox_key",
            "event": "post.publish.publicly_available",
            "create_time": 1901966444,
            "user_openid": "sandbox_user",
            "content": '{"publish_id":"v_pub_url~v2-1.7491256318402349874",'
            '"post_id":"7491256397214601514","publish_type":"DIRECT_PUBLISH"}',
        },
    }
}

STREAM: Final[dict[str, Any]] = {
    "ready": {
        "summary": "It begins",
        "value": 'event: ready\ndata: {"resumed": false}\n'
        "id: 2030-04-09T12:00:00.000000+00:00\nretry: 2000\n\n",
    },
    "job": {
        "summary": "A job changed",
        "value": 'event: job\ndata: {"id": "0196a1b2-…", "status": "processing", …}\n'
        "id: 2030-04-09T12:00:01.250000+00:00\n\n",
    },
}


_UNCHOSEN: Final = PostAnswer.model_validate(Post()).model_dump(
    mode="json", by_alias=True
)

JOB: Final[dict[str, Any]] = {
    "id": "0196a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b",
    "projectId": _PROJECT,
    "platform": "tiktok",
    "assetId": "asset_9",
    "assetUrl": "https://cdn.example.com/v.mp4",
    "assetUrls": [],
    "post": _UNCHOSEN
    | {
        "title": "Spring is here #garden",
        "privacyLevel": "PUBLIC_TO_EVERYONE",
        "disableDuet": True,
        "disableStitch": True,
        "videoCoverTimestampMs": 1500,
    },
    "transfer": "pull",
    "externalId": "order-77",
    "metadata": {"campaign": "spring"},
    "publishBy": "2030-04-09T18:00:00.000Z",
    "status": "posted",
    "scheduledFor": _SCHEDULED_FOR,
    "postNow": False,
    "idempotencyKey": "9f86d081884c7d659a2feaa0c55ad015",
    "attempts": 1,
    "maxAttempts": 5,
    "nextAttemptAt": None,
    "claimedAt": None,
    "failureReason": None,
    "lastError": {
        "class": "rate_limit",
        "code": "rate_limit_exceeded",
        "message": "The API rate limit was exceeded.",
        "userMessage": "TikTok asks us to slow down with this account. If it does not"
        " go out on its own, retry this post later.",
        "logId": "20300409120001A1B2C3D4E5F60718293A",
        "at": "2030-04-09T12:00:01.250Z",
    },
    "openId": _OPEN_ID,
    "publishId": _PUBLISH_ID,
    "uploadedBytes": None,
    "delivery": "published",
    "postId": "7491256397214601514",
    "postIds": ["7491256397214601514"],
    "postUrl": "https://www.tiktok.com/@garden/video/7491256397214601514",
    "postedAt": "2030-04-09T12:00:44.810Z",
    "availability": "public",
    "createdAt": "2030-04-08T09:30:12.004Z",
    "updatedAt": "2030-04-09T12:00:44.810Z",
    "notice": None,
    "noticeCode": None,
    "readiness": {
        "checkedAt": "2030-04-09T11:50:00.120Z",
        "ok": True,
        "problems": [],
    },
}

ATTEMPT: Final[dict[str, Any]] = {
    "number": 1,
    "startedAt": "2030-04-09T12:00:00.310Z",
    "finishedAt": "2030-04-09T12:00:01.250Z",
    "outcome": "rate_limited",
    "errorClass": "rate_limit",
    "errorCode": "rate_limit_exceeded",
    "message": "The API rate limit was exceeded.",
    "httpStatus": 429,
    "logId": "20300409120001A1B2C3D4E5F60718293A",
    "publishId": None,
    "decision": "retrying",
    "nextAttemptAt": "2030-04-09T12:00:32.480Z",
    "worker": "web-1-4711-3f9a2c",
}

ACCOUNT: Final[dict[str, Any]] = {
    "projectId": _PROJECT,
    "platform": "tiktok",
    "openId": _OPEN_ID,
    "displayName": "The Garden",
    "username": "garden",
    "scopes": ["user.info.basic", "video.publish", "video.upload"],
    "status": "active",
    "reconnectReason": None,
    "accessTokenExpiresAt": "2030-04-09T12:00:00.000Z",
    "refreshTokenExpiresAt": "2031-04-08T12:00:00.000Z",
    "connectedAt": "2030-04-08T09:12:55.721Z",
}

CREATOR_INFO: Final[dict[str, Any]] = {
    "creatorUsername": "garden",
    "creatorNickname": "The Garden",
    "creatorAvatarUrl": "https://p16-sign.tiktokcdn.example/garden.jpeg",
    "privacyLevelOptions": [
        "PUBLIC_TO_EVERYONE",
        "MUTUAL_FOLLOW_FRIENDS",
        "SELF_ONLY",
    ],
    "commentDisabled": False,
    "duetDisabled": False,
    "stitchDisabled": True,
    "maxVideoPostDurationSec": 600,
}

AUTHORIZATION: Final[dict[str, Any]] = {
    "authorizeUrl": "https://www.tiktok.com/v2/auth/authorize/?client_key=…&state=…",
    "state": "Jc2bXGmV0h6yPq4sK8nT1w",
    "expiresAt": "2030-04-08T09:22:31.000Z",
    "startUrl": "https://scheduler.example.com/oauth/tiktok/start?state=…",
}

TICK: Final[dict[str, Any]] = {
    "claimed": 3,
    "posted": 2,
    "retrying": 1,
    "failed": 0,
    "inFlight": 0,
    "reclaimed": 0,
    "durationMs": 8120,
}

MODELS: Final[dict[str, dict[str, Any]]] = {
    "JobAnswer": JOB,
    "AttemptAnswer": ATTEMPT,
    "AccountAnswer": ACCOUNT,
    "PutAccountAnswer": ACCOUNT | {"accountChanged": False},
    "CreatorInfoAnswer": CREATOR_INFO,
    "AuthorizationAnswer": AUTHORIZATION,
    "TickAnswer": TICK,
    "CancelledAnswer": {"cancelled": 4, "skipped": 1},
    "HistoryItemAnswer": {
        "at": "2030-04-08T10:12:00.500Z",
        "kind": "edited",
        "text": "It was changed.",
        "by": {"id": "0196a1b2-0000-7e4f-8a5b-6c7d8e9f0a1b", "name": "backend"},
        "data": {"fields": ["scheduledFor"]},
        "attempt": None,
    },
    "ReboundAnswer": {"moved": 3, "skipped": 1},
    "RetriedAnswer": {"retried": 12, "skipped": 1},
}
