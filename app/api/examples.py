"""Requests to try out on /docs; they work against the simulator."""

from typing import Final

from fastapi.openapi.models import Example

_URL: Final = "https://cdn.example.com/v.mp4"

JOBS: Final[dict[str, Example]] = {
    "scheduled": {
        "summary": "At a time",
        "value": {
            "projectId": "proj_1",
            "platform": "tiktok",
            "assetId": "asset_9",
            "assetUrl": _URL,
            "scheduledFor": "2026-04-09T12:00:00.000Z",
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
    "now": {
        "summary": "Post Now",
        "value": {
            "projectId": "proj_1",
            "assetId": "asset_10",
            "assetUrl": _URL,
            "post": {"title": "Right now", "privacyLevel": "SELF_ONLY"},
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

PATCHES: Final[dict[str, Example]] = {
    "later": {
        "summary": "Another time",
        "value": {"scheduledFor": "2026-04-10T08:30:00.000+02:00"},
    },
    "now": {"summary": "Post Now", "value": {"scheduledFor": None}},
    "caption": {
        "summary": "Another caption; the rest of the post stays",
        "value": {"post": {"title": "Spring is really here"}},
    },
}

STREAM: Final[dict[str, Example]] = {
    "ready": {
        "summary": "It begins",
        "value": 'event: ready\ndata: {"resumed": false}\n'
        "id: 2026-04-09T12:00:00.000000+00:00\nretry: 2000\n\n",
    },
    "job": {
        "summary": "A job changed",
        "value": 'event: job\ndata: {"id": "…", "status": "processing", …}\n'
        "id: 2026-04-09T12:00:01.250000+00:00\n\n",
    },
}
