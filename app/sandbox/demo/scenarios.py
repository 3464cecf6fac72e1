"""The lives that are shown."""

from typing import Final

from app.sandbox.demo.scenario import Scenario

TOGETHER: Final = (
    Scenario(name="Post Now", status="posted"),
    Scenario(name="Scheduled", status="posted", after_seconds=4),
    Scenario(name="Double click", status="posted", clicks=2),
    Scenario(name="Connected at TikTok", status="posted", consents=True),
    Scenario(
        name="Draft to the inbox",
        status="posted",
        published=0,  # the person finishes it in TikTok's app
        post={"mode": "inbox"},
    ),
    Scenario(
        name="Pushed",
        status="posted",
        transfer="push",
        assets=("video.mp4?bytes=2300000",),
    ),
    Scenario(
        name="Three photos, one too big",
        status="failed",
        reason="permanent",
        inits=1,  # TikTok looks at them, and takes a set as a whole or not at all
        published=0,
        attempts=1,
        assets=("photo.jpg?n=1", "photo.jpg?width=2160&height=3840", "photo.jpg?n=3"),
        post={"mediaType": "photo"},
    ),
    Scenario(
        name="Rejected by TikTok",
        status="failed",
        reason="permanent",
        inits=0,
        published=0,
        attempts=1,
        faults=(
            {
                "call": "init",
                "fault": {
                    "kind": "error",
                    "code": "spam_risk_user_banned_from_posting",
                    "httpStatus": 403,
                },
            },
        ),
    ),
    Scenario(
        name="Token expired, refreshed",
        status="posted",
        faults=({"call": "creator_info", "fault": {"kind": "token_death"}},),
    ),
    Scenario(
        name="Grant expired",
        status="failed",
        reason="auth",
        inits=0,
        published=0,
        attempts=1,
        faults=(
            {"call": "creator_info", "fault": {"kind": "token_death"}},
            {"call": "token", "times": None, "fault": {"kind": "invalid_grant"}},
        ),
    ),
    Scenario(
        name="Reconnected as somebody else",
        status="failed",
        reason="auth",
        inits=0,  # on nobody's account
        published=0,
        attempts=1,
        after_seconds=4,
        reconnects_as="somebody_else",
        notice="account_changed",
    ),
    Scenario(
        name="Daily cap, then missed",
        status="failed",
        reason="missed",
        inits=0,
        published=0,
        publish_by_seconds=5,
        notice="missed",
        faults=(
            {
                "call": "creator_info",
                "times": None,
                "fault": {
                    "kind": "error",
                    "code": "spam_risk_too_many_posts",
                    "httpStatus": 200,
                },
            },
        ),
    ),
    Scenario(
        name="Rate limit",
        status="posted",
        attempts=1,
        faults=({"call": "init", "fault": {"kind": "rate_limit", "retryAfter": 2}},),
    ),
    Scenario(
        name="Answer lost",
        status="failed",
        reason="unconfirmed",
        inits=1,  # TikTok took it, but its answer never came: never a second one
        attempts=1,
        faults=({"call": "init", "fault": {"kind": "reset", "taken": True}},),
    ),
)

KILLED: Final = (
    Scenario(
        name="Worker killed",
        status="posted",
        attempts=1,  # the abandoned claim
        kills_worker=True,
        faults=({"call": "init", "fault": {"kind": "processing", "seconds": 4}},),
    ),
    Scenario(
        name="Upload cut, then resumed",
        status="posted",
        attempts=1,
        kills_worker=True,
        transfer="push",
        assets=("video.mp4?bytes=2300000",),
        faults=(
            {"call": "upload", "fault": {"kind": "cut"}, "match": {"chunk": 1}},
            {"call": "upload", "fault": {"kind": "hang"}, "match": {"chunk": 2}},
        ),
    ),
)
