"""What TikTok counts in a caption."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from app.domain.posts.post import (
    MAX_TITLE_UNITS,
    MediaType,
    Post,
    PostMode,
    PrivacyLevel,
    problems_of,
    problems_with_photos,
    utf16_units,
)


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("", 0),
        ("caption", 7),
        ("é", 1),
        ("日本", 2),
        ("🎬", 2),  # outside the basic plane: a surrogate pair
        ("👩‍👩‍👧", 8),  # three people and two joiners
        ("\ud83c", 1),  # half a pair, which JSON can carry
    ],
)
def test_a_caption_is_counted_in_utf_16_units(text: str, units: int) -> None:
    """A caption's length is what JavaScript's ``length`` says, not its characters."""
    assert str(utf16_units(text)) == str(units)  # a whole number


@given(text=st.text())
def test_every_character_counts_one_or_two(text: str) -> None:
    """Counting never fails, and adds one for each character beyond the basic plane."""
    assert utf16_units(text) == len(text) + sum(ord(char) > 0xFFFF for char in text)


def test_the_limit_is_tiktoks() -> None:
    """TikTok's page on direct posts names 2,200 units."""
    assert MAX_TITLE_UNITS == 2200


def test_a_post_chooses_nothing_for_the_person() -> None:
    """Privacy has no default and no other choice is made unasked."""
    flags = {name: value for name, value in asdict(Post()).items() if value is True}
    assert Post().privacy_level is None
    assert flags == {}


PRIVATE = Post(privacy_level=PrivacyLevel.SELF_ONLY)


@pytest.mark.parametrize(
    ("post", "pointers"),
    [
        (PRIVATE, []),
        (replace(PRIVATE, title="x" * 2200), []),
        (replace(PRIVATE, title="x" * 2201), ["/post/title"]),
        (replace(PRIVATE, title="🎬" * 1101), ["/post/title"]),
        (Post(), ["/post/privacyLevel"]),
        (Post(mode=PostMode.INBOX), []),
        (replace(PRIVATE, brand_content_toggle=True), ["/post/brandContentToggle"]),
        (replace(PRIVATE, brand_organic_toggle=True), []),
        (
            Post(
                privacy_level=PrivacyLevel.PUBLIC_TO_EVERYONE, brand_content_toggle=True
            ),
            [],
        ),
        (Post(title="🎬" * 1101), ["/post/title", "/post/privacyLevel"]),
    ],
)
def test_what_tiktok_would_refuse_is_listed(post: Post, pointers: list[str]) -> None:
    """Every fault of a post is named at once, by the field that a caller sent."""
    problems = problems_of(post)
    assert [problem.pointer for problem in problems] == pointers
    assert all(len(problem.message) > 20 for problem in problems)


def test_the_refusal_of_a_caption_names_the_limit() -> None:
    """Who wrote too much learns the limit, its unit, and how much it is."""
    (problem,) = problems_of(replace(PRIVATE, title="x" * 2201))
    assert (
        problem.message
        == "TikTok takes at most 2,200 UTF-16 code units; this has 2,201"
    )


PHOTOS = Post(media_type=MediaType.PHOTO, privacy_level=PrivacyLevel.SELF_ONLY)
PHOTO_DRAFT = Post(media_type=MediaType.PHOTO, mode=PostMode.INBOX)
DRAFT = Post(mode=PostMode.INBOX)


@pytest.mark.parametrize(
    ("post", "pointers"),
    [
        (replace(PHOTOS, title="x" * 90, description="🎬" * 2000), []),
        (replace(PHOTOS, title="x" * 91), ["/post/title"]),
        (replace(PHOTOS, description="🎬" * 2001), ["/post/description"]),
        (replace(PHOTOS, disable_comment=True, auto_add_music=True, is_aigc=True), []),
        (replace(PHOTOS, disable_duet=True), ["/post/disableDuet"]),
        (replace(PHOTOS, disable_stitch=True), ["/post/disableStitch"]),
        (
            replace(PHOTOS, video_cover_timestamp_ms=0),
            ["/post/videoCoverTimestampMs"],
        ),
        (replace(PHOTOS, privacy_level=None), ["/post/privacyLevel"]),
        (replace(PHOTO_DRAFT, title="a", description="b", photo_cover_index=1), []),
        (replace(PHOTO_DRAFT, title="x" * 91), ["/post/title"]),
        (replace(PHOTO_DRAFT, auto_add_music=True), ["/post/autoAddMusic"]),
        (
            replace(PHOTO_DRAFT, privacy_level=PrivacyLevel.SELF_ONLY),
            ["/post/privacyLevel"],
        ),
        (replace(PRIVATE, description="a"), ["/post/description"]),
        (replace(PRIVATE, photo_cover_index=1), ["/post/photoCoverIndex"]),
        (replace(PRIVATE, auto_add_music=True), ["/post/autoAddMusic"]),
        (
            replace(DRAFT, title="a", is_aigc=True, disable_comment=True),
            ["/post/title", "/post/disableComment", "/post/isAigc"],
        ),
        (replace(DRAFT, brand_content_toggle=True), ["/post/brandContentToggle"]),
    ],
)
def test_a_choice_that_cannot_be_carried_is_refused(
    post: Post, pointers: list[str]
) -> None:
    """Dropped on the way, it would make the answer untrue."""
    assert [problem.pointer for problem in problems_of(post)] == pointers


@pytest.mark.parametrize(
    ("post", "count", "pointers"),
    [
        (PHOTOS, 1, []),
        (PHOTOS, 35, []),
        (PHOTOS, 0, ["/assetUrls"]),
        (PHOTOS, 36, ["/assetUrls"]),
        (replace(PHOTOS, photo_cover_index=34), 35, []),
        (replace(PHOTOS, photo_cover_index=3), 3, ["/post/photoCoverIndex"]),
        (replace(PHOTOS, photo_cover_index=-1), 3, ["/post/photoCoverIndex"]),
        (PRIVATE, 0, []),
        (PRIVATE, 1, ["/assetUrls"]),
    ],
)
def test_photos_are_counted(post: Post, count: int, pointers: list[str]) -> None:
    """TikTok takes 1 to 35, and a cover that is one of them."""
    problems = problems_with_photos(post, count)
    assert [problem.pointer for problem in problems] == pointers
