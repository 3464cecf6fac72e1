"""The media gateway's pull URLs of one init."""

from msgspec.structs import replace

from app.domain.posts.post import MediaType, Post
from app.store.jobs.media_links import pull_links, pull_tokens
from tests.domain.jobs.sample import a_job

URLS = ("https://cdn.example.com/1.jpg", "https://cdn.example.com/2.jpg")
PHOTOS = a_job(
    asset_url="",
    asset_urls=URLS,
    post=Post(media_type=MediaType.PHOTO),
    media_token="secret",
)


def test_a_video_has_one_link() -> None:
    """Its token is the job's own."""
    job = a_job(media_token="secret")
    assert pull_links(job) == (("secret", job.asset_url),)


def test_each_photo_has_a_link_of_its_own() -> None:
    """None tells another, and all are the same for every worker."""
    tokens = pull_tokens(PHOTOS)
    assert [url for _, url in pull_links(PHOTOS)] == list(URLS)
    assert len({*tokens, "secret"}) == 3
    assert all(len(token) == 43 for token in tokens)
    assert pull_tokens(PHOTOS) == tokens
    assert set(pull_tokens(replace(PHOTOS, media_token="other"))).isdisjoint(tokens)


def test_without_a_gateway_there_are_none() -> None:
    """TikTok pulls from the assets' own addresses."""
    assert pull_links(replace(PHOTOS, media_token=None)) == ()
