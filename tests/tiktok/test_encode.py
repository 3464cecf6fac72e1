"""What is sent, to the byte: TikTok is strict where its pages are vague."""

import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.posts.post import MediaType, Post, PostMode, PrivacyLevel
from app.domain.posts.upload import ChunkSizes, plan_chunks
from app.tiktok import encode
from app.tiktok.wire import ApiRequest

URL = "https://cdn.example.com/v.mp4?sig=a%2Fb&x=1"
PLAIN = Post(title="Hi", privacy_level=PrivacyLevel.SELF_ONLY)


def sent(request: ApiRequest) -> dict[str, Any]:
    """Return the JSON of a request."""
    body: dict[str, Any] = json.loads(request.content)
    return body


def form(request: ApiRequest) -> dict[str, str]:
    """Return the form of a request."""
    return {
        name: values[0] for name, values in parse_qs(request.content.decode()).items()
    }


def test_direct_init() -> None:
    """Every choice goes out under TikTok's name, both brand toggles always."""
    post = Post(
        title="Caption ü \U0001f600\nsecond line",
        privacy_level=PrivacyLevel.PUBLIC_TO_EVERYONE,
        disable_comment=True,
        disable_stitch=True,
        video_cover_timestamp_ms=0,
        brand_organic_toggle=True,
        is_aigc=True,
    )
    request = encode.init("act.token", post, URL)
    assert (request.method, request.path) == ("POST", "/v2/post/publish/video/init/")
    assert request.headers == {
        "Authorization": "Bearer act.token",
        "Content-Type": "application/json; charset=UTF-8",
    }
    assert sent(request) == {
        "post_info": {
            "title": "Caption ü \U0001f600\nsecond line",
            "privacy_level": "PUBLIC_TO_EVERYONE",
            "disable_comment": True,
            "disable_duet": False,
            "disable_stitch": True,
            "video_cover_timestamp_ms": 0,
            "brand_content_toggle": False,
            "brand_organic_toggle": True,
            "is_aigc": True,
        },
        "source_info": {"source": "PULL_FROM_URL", "video_url": URL},
    }


def test_what_was_not_chosen_is_not_sent() -> None:
    """No cover time leaves TikTok its first frame; no privacy level is made up."""
    info = sent(encode.init("act.token", Post(), URL))["post_info"]
    assert not {"video_cover_timestamp_ms", "privacy_level"} & set(info)


def test_inbox_init() -> None:
    """A draft has a source and nothing else."""
    request = encode.init("act.token", Post(mode=PostMode.INBOX, title="no"), URL)
    assert request.path == "/v2/post/publish/inbox/video/init/"
    assert sent(request) == {
        "source_info": {"source": "PULL_FROM_URL", "video_url": URL}
    }


@pytest.mark.parametrize(
    ("post", "path"),
    [
        (PLAIN, "/v2/post/publish/video/init/"),
        (Post(mode=PostMode.INBOX), "/v2/post/publish/inbox/video/init/"),
    ],
    ids=["direct", "inbox"],
)
def test_an_upload_announces_its_chunks(post: Post, path: str) -> None:
    """Size, chunk size and their count; a draft says nothing else."""
    request = encode.upload_init(
        "act.token", post, plan_chunks(70_000_000, ChunkSizes())
    )
    assert request.path == path
    assert sent(request)["source_info"] == {
        "source": "FILE_UPLOAD",
        "video_size": 70_000_000,
        "chunk_size": 10_000_000,
        "total_chunk_count": 7,
    }
    assert ("post_info" in sent(request)) == (post.mode is PostMode.DIRECT)


def test_photos_are_posted() -> None:
    """Everything chosen goes out; is_aigc stands beside post_info, not in it."""
    post = Post(
        media_type=MediaType.PHOTO,
        title="Title",
        description="Words",
        privacy_level=PrivacyLevel.SELF_ONLY,
        disable_comment=True,
        auto_add_music=True,
        photo_cover_index=1,
        is_aigc=True,
    )
    request = encode.photo_init("act.token", post, [URL, URL])
    assert request.path == "/v2/post/publish/content/init/"
    assert request.once
    assert sent(request) == {
        "media_type": "PHOTO",
        "post_mode": "DIRECT_POST",
        "post_info": {
            "title": "Title",
            "description": "Words",
            "privacy_level": "SELF_ONLY",
            "disable_comment": True,
            "auto_add_music": True,
            "brand_content_toggle": False,
            "brand_organic_toggle": False,
        },
        "source_info": {
            "source": "PULL_FROM_URL",
            "photo_images": [URL, URL],
            "photo_cover_index": 1,
        },
        "is_aigc": True,
    }


def test_a_draft_of_photos_has_title_and_description() -> None:
    """Unlike a video's; its audience is chosen in TikTok's app."""
    post = Post(
        media_type=MediaType.PHOTO,
        mode=PostMode.INBOX,
        title="Title",
        description="Words",
    )
    body = sent(encode.photo_init("act.token", post, [URL]))
    assert body["post_mode"] == "MEDIA_UPLOAD"
    assert body["post_info"] == {"title": "Title", "description": "Words"}
    assert "is_aigc" not in body


def test_cancel_names_the_publish() -> None:
    """Nothing else is needed to stop a pull."""
    request = encode.cancel("act.token", "v_pub_url~v2.1")
    assert request.path == "/v2/post/publish/cancel/"
    assert sent(request) == {"publish_id": "v_pub_url~v2.1"}


@given(st.text(st.characters(codec=None)), st.text(st.characters(codec=None)))
def test_any_text_can_be_sent(title: str, url: str) -> None:
    """Nothing a person can type, unpaired surrogates included, stops the encoder."""
    post = Post(title=title, privacy_level=PrivacyLevel.SELF_ONLY)
    request = encode.init("act.token", post, url)
    assert (
        sent(request)["post_info"]["title"].encode()
        == title.encode("utf-16", "surrogatepass")
        .decode("utf-16", "replace")
        .replace("\0", "\ufffd")
        .encode()
    )


def test_other_calls_on_publishing() -> None:
    """creator_info has an empty body; a status names its publish."""
    asked = encode.creator_info("act.token")
    assert asked.path == "/v2/post/publish/creator_info/query/"
    assert asked.content == b""
    assert asked.headers["Content-Type"] == "application/json; charset=UTF-8"
    polled = encode.status("act.token", "v_pub_url~v2.1")
    assert polled.path == "/v2/post/publish/status/fetch/"
    assert sent(polled) == {"publish_id": "v_pub_url~v2.1"}


@pytest.mark.parametrize(
    ("scopes", "fields"),
    [
        ((), "open_id,display_name,avatar_url"),
        (("user.info.basic",), "open_id,display_name,avatar_url"),
        (("user.info.profile",), "open_id,display_name,avatar_url,username"),
    ],
)
def test_user_info(scopes: tuple[str, ...], fields: str) -> None:
    """A field without its scope would fail the whole call."""
    request = encode.user_info("act.token", scopes=scopes)
    assert (request.method, request.content) == ("GET", b"")
    assert request.path == f"/v2/user/info/?fields={fields}"


def test_list_videos() -> None:
    """The fields go into the query, the page into the body."""
    request = encode.list_videos("act.token", cursor=None)
    path = "/v2/video/list/?fields=id,title,video_description,create_time,share_url"
    assert (request.method, request.path) == ("POST", path)
    assert sent(request) == {"max_count": 20}
    second = encode.list_videos("act.token", cursor=1775736000000)
    assert sent(second) == {"max_count": 20, "cursor": 1775736000000}


def test_refresh() -> None:
    """A refresh is a form, with client_key and not client_id."""
    request = encode.refresh("rft+/=&", client_key="key", client_secret="secret")
    assert (request.method, request.path) == ("POST", "/v2/oauth/token/")
    assert request.headers == {"Content-Type": "application/x-www-form-urlencoded"}
    assert form(request) == {
        "client_key": "key",
        "client_secret": "secret",
        "grant_type": "refresh_token",
        "refresh_token": "rft+/=&",
    }


@pytest.mark.parametrize("verifier", [None, "v" * 43])
def test_exchange_code(verifier: str | None) -> None:
    """The code goes with its redirect URI, and with a verifier if there was PKCE."""
    request = encode.exchange_code(
        "code*1",
        redirect_uri="https://app.example.com/cb",
        code_verifier=verifier,
        client_key="key",
        client_secret="secret",
    )
    expected = {
        "client_key": "key",
        "client_secret": "secret",
        "grant_type": "authorization_code",
        "code": "code*1",
        "redirect_uri": "https://app.example.com/cb",
    }
    if verifier:
        expected["code_verifier"] = verifier
    assert request.path == "/v2/oauth/token/"
    assert form(request) == expected


def test_revoke() -> None:
    """A revocation names the access token."""
    request = encode.revoke("act.token", client_key="key", client_secret="secret")
    assert request.path == "/v2/oauth/revoke/"
    assert form(request) == {
        "client_key": "key",
        "client_secret": "secret",
        "token": "act.token",
    }


def test_requests_show_no_secret() -> None:
    """A request that ends up in a log or a traceback gives nothing away."""
    secrets = {"client_key": "key", "client_secret": "secret.client"}
    requests = [
        encode.init("secret.act", PLAIN, URL),
        encode.refresh("secret.rft", **secrets),
        encode.revoke("secret.act", **secrets),
        encode.exchange_code(
            "secret.code", redirect_uri="r", code_verifier="secret.v", **secrets
        ),
    ]
    assert "secret." not in repr(requests)


def test_what_must_not_be_sent_twice() -> None:
    """Calls that post, burn a token or have one permit are never repeated."""
    secrets = {"client_key": "key", "client_secret": "secret"}
    assert encode.init("act.token", PLAIN, URL).once
    assert encode.refresh("rft", **secrets).once
    assert encode.exchange_code(
        "c", redirect_uri="r", code_verifier=None, **secrets
    ).once
    assert not encode.status("act.token", "p").once
    plan = plan_chunks(1, ChunkSizes())
    assert encode.upload_init("act.token", PLAIN, plan).once
