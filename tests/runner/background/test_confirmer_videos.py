"""Whether a video in the list is a job's, as far as its text can tell."""

from datetime import UTC, datetime

import pytest

from app.runner.background.confirmer import SHOWN_CAPTION, shows
from app.tiktok.values import Video

LONG = "Spring is here, and so are we. " * 10


def video(title: str = "", description: str = "") -> Video:
    """Make a video with these texts."""
    return Video(
        id="7602",
        title=title,
        description=description,
        create_time=datetime(2026, 4, 9, 12, tzinfo=UTC),
        share_url="https://www.tiktok.com/@me/video/7602",
    )


@pytest.mark.parametrize(
    ("shown", "caption"),
    [
        ("Spring", "Spring"),
        ("Spring ", " Spring"),
        (LONG[:SHOWN_CAPTION], LONG),
        (("🌷" * 200)[:SHOWN_CAPTION], "🌷" * 200),
        ("🌷" * (SHOWN_CAPTION // 2), "🌷" * 200),  # cut in UTF-16 units
    ],
)
def test_a_caption_is_known_by_what_is_shown_of_it(shown: str, caption: str) -> None:
    """All of it, or its beginning if it is as long as TikTok shows it."""
    assert shows(video(title=shown), caption)
    assert shows(video(description=shown), caption)


@pytest.mark.parametrize(
    ("shown", "caption"),
    [
        ("Spring", "Spring is here"),
        ("Spring is here", "Spring"),
        ("", "Spring"),
        (" " * SHOWN_CAPTION, "Spring"),
        (LONG[: SHOWN_CAPTION - 2], LONG),
        (LONG[1 : SHOWN_CAPTION + 1], LONG),
        ("", ""),
    ],
)
def test_another_text_is_another_video(shown: str, caption: str) -> None:
    """Also one that only begins alike."""
    assert not shows(video(title=shown, description=shown), caption)
