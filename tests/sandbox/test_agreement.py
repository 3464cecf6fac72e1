"""The service's own client and the simulator understand each other."""

import httpx
import pytest

from app.domain.jobs.job import ErrorClass
from app.domain.jobs.outcome import Fault, Verdict
from app.domain.posts.post import Post, PostMode, PrivacyLevel
from app.tiktok.client import Calls
from app.tiktok.encode import authorize_url, code_challenge
from app.tiktok.values import InitTaken, PublishState, PublishStatus, TokenGrant
from tests.sandbox.support import AUTHORIZE, TikTok

PUBLIC = Post(title="A cat", privacy_level=PrivacyLevel.PUBLIC_TO_EVERYONE)
CALLBACK = "http://127.0.0.1:8000/oauth/tiktok/callback"
TOKEN = "act.sandbox"


@pytest.fixture
def video_url(tiktok: TikTok) -> str:
    """Give a video that can be pulled."""
    return f"{tiktok.url}/_sandbox/video.mp4"


async def test_a_direct_post_is_followed_to_its_public_id(
    tiktok: TikTok, calls: Calls, video_url: str
) -> None:
    """creator_info, init, status and video list speak of the same post."""
    creator = await calls.creator_info(TOKEN)
    assert not isinstance(creator, Fault)
    assert "PUBLIC_TO_EVERYONE" in creator.privacy_options
    taken = await calls.init(TOKEN, PUBLIC, video_url)
    assert isinstance(taken, InitTaken)
    await tiktok.settled()
    status = await calls.status(TOKEN, taken.publish_id)
    assert isinstance(status, PublishStatus)
    assert status.state is PublishState.COMPLETE
    (post,) = await tiktok.read("posts")
    assert status.post_ids == (post["postId"],)
    page = await calls.list_videos(TOKEN)
    assert not isinstance(page, Fault)
    assert [(video.id, video.description) for video in page.videos] == [
        (post["postId"], "A cat")
    ]


async def test_a_draft_is_followed_to_the_inbox(
    tiktok: TikTok, calls: Calls, video_url: str
) -> None:
    """Inbox init and its status."""
    taken = await calls.init(TOKEN, Post(mode=PostMode.INBOX), video_url)
    assert isinstance(taken, InitTaken)
    await tiktok.settled()
    status = await calls.status(TOKEN, taken.publish_id)
    assert isinstance(status, PublishStatus)
    assert status.state is PublishState.IN_INBOX


async def test_consent_refresh_and_revoking(tiktok: TikTok, calls: Calls) -> None:
    """The whole life of a grant, PKCE included."""
    verifier = "v" * 64
    url = authorize_url(
        tiktok.url + AUTHORIZE,
        client_key="sandbox_key",
        redirect_uri=CALLBACK,
        scopes=("user.info.basic", "video.publish"),
        state="state",
        code_challenge=code_challenge(verifier),
        disable_auto_auth=True,
    )
    approved = httpx.URL(url).copy_add_param("approve", "1")
    back = httpx.URL((await tiktok.http.get(approved)).headers["location"]).params
    grant = await calls.exchange_code(
        back["code"], redirect_uri=CALLBACK, code_verifier=verifier
    )
    assert isinstance(grant, TokenGrant)
    assert grant.scopes == ("user.info.basic", "video.publish")
    renewed = await calls.refresh(grant.refresh_token)
    assert isinstance(renewed, TokenGrant)
    user = await calls.user_info(renewed.access_token, scopes=renewed.scopes)
    assert not isinstance(user, Fault)
    assert user.display_name == "Sandbox User"
    assert await calls.revoke(renewed.access_token) is None
    dead = await calls.refresh(renewed.refresh_token)
    assert isinstance(dead, Fault)
    assert (dead.code, dead.error_class) == ("invalid_grant", ErrorClass.AUTH)


@pytest.mark.parametrize(
    "kind",
    [
        "reset",
        "close",
        "garbage",
        "truncate",
        "empty",
        "gateway",
        "ok_without_publish_id",
    ],
)
@pytest.mark.parametrize("taken", [False, True])
async def test_the_client_never_claims_to_know_what_a_broken_init_did(
    tiktok: TikTok, calls: Calls, video_url: str, kind: str, taken: bool
) -> None:
    """Taken or not, the verdict is unknown."""
    await tiktok.fault("init", kind, taken=taken)
    fault = await calls.init(TOKEN, PUBLIC, video_url)
    assert isinstance(fault, Fault)
    assert fault.verdict is Verdict.UNKNOWN
    assert len(await tiktok.read("posts")) == taken


async def test_the_client_knows_that_a_limit_took_nothing(
    tiktok: TikTok, calls: Calls, video_url: str
) -> None:
    """429 with Retry-After is an answer, in the class rate_limit."""
    await tiktok.fault("init", "rate_limit", retryAfter=30)
    fault = await calls.init(TOKEN, PUBLIC, video_url)
    assert isinstance(fault, Fault)
    assert fault.verdict is Verdict.ANSWERED
    assert fault.error_class is ErrorClass.RATE_LIMIT
    assert fault.retry_after == 30
