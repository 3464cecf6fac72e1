"""Example requests for /docs; they work with the simulator."""

from typing import Any, Final

from fastapi.openapi.models import Example

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
