"""What an upload host's answer means for the chunk that was sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.posts.upload import Span
from app.tiktok.upload_answers import (
    ChunkRequest,
    ChunkVerdict,
    UploadAnswer,
    upload_type,
    verdict_on,
)

SIZE = 30
MIDDLE, LAST = Span(10, 20), Span(20, 30)


@pytest.mark.parametrize(
    ("status", "content_range", "span", "verdict"),
    [
        (206, "bytes 0-19/30", MIDDLE, ChunkVerdict.NEXT),
        (206, "bytes 0-20/30", MIDDLE, ChunkVerdict.NEXT),
        (206, "", MIDDLE, ChunkVerdict.NEXT),
        (206, "bytes 0-9/30", MIDDLE, ChunkVerdict.ASK),
        (206, "bytes 0-29/30", MIDDLE, ChunkVerdict.ASK),
        (206, "bytes 0-19/31", MIDDLE, ChunkVerdict.ASK),
        (206, "garbage", MIDDLE, ChunkVerdict.ASK),
        (206, "bytes 0-29/30", LAST, ChunkVerdict.ASK),
        (206, "", LAST, ChunkVerdict.ASK),
        (201, "", LAST, ChunkVerdict.DONE),
        (201, "bytes 0-29/30", LAST, ChunkVerdict.DONE),
        (200, "", MIDDLE, ChunkVerdict.ASK),
        (302, "", MIDDLE, ChunkVerdict.ASK),
        (400, "", MIDDLE, ChunkVerdict.REFUSED),
        (403, "", LAST, ChunkVerdict.URL_OVER),
        (404, "", MIDDLE, ChunkVerdict.URL_OVER),
        (408, "", MIDDLE, ChunkVerdict.AGAIN),
        (416, "", MIDDLE, ChunkVerdict.ASK),
        (429, "", MIDDLE, ChunkVerdict.AGAIN),
        (500, "", LAST, ChunkVerdict.AGAIN),
        (503, "", MIDDLE, ChunkVerdict.AGAIN),
    ],
)
def test_a_status_decides(
    status: int, content_range: str, span: Span, verdict: ChunkVerdict
) -> None:
    """As TikTok's page says; an answer that contradicts itself asks for a status."""
    answer = UploadAnswer(status=status, content_range=content_range, sent_all=True)
    assert verdict_on(answer, span, size=SIZE) is verdict


def test_a_cut_line_means_the_same_chunk_again() -> None:
    """TikTok takes a chunk whole or not at all; only one sent whole may be there."""
    cut = UploadAnswer(status=None, sent_all=False)
    lost = UploadAnswer(status=None, sent_all=True)
    assert verdict_on(cut, LAST, size=SIZE) is ChunkVerdict.AGAIN
    assert verdict_on(lost, LAST, size=SIZE) is ChunkVerdict.ASK


@pytest.mark.parametrize("status", [201, 206])
def test_success_before_the_chunk_was_sent_is_not_believed(status: int) -> None:
    """A host cannot have what it was not sent: TikTok is asked what it has."""
    early = UploadAnswer(status=status, sent_all=False)
    assert verdict_on(early, MIDDLE, size=SIZE) is ChunkVerdict.ASK
    assert verdict_on(early, LAST, size=SIZE) is ChunkVerdict.ASK


@given(status=st.integers(100, 999), content_range=st.text(), sent_all=st.booleans())
def test_only_201_says_that_all_is_there(
    status: int, content_range: str, sent_all: bool
) -> None:
    """Any other answer raises nothing and ends nothing."""
    answer = UploadAnswer(status=status, content_range=content_range, sent_all=sent_all)
    done = verdict_on(answer, LAST, size=SIZE) is ChunkVerdict.DONE
    assert done == (status == 201 and sent_all)


def test_a_chunk_names_its_bytes_and_no_token() -> None:
    """Content-Range ends with the last byte's own number."""
    chunk = ChunkRequest(
        url="https://u.example/?upload_token=Secret",
        span=MIDDLE,
        size=SIZE,
        content_type="video/mp4",
    )
    assert chunk.headers() == {
        "Content-Type": "video/mp4",
        "Content-Length": "10",
        "Content-Range": "bytes 10-19/30",
    }
    assert "Secret" not in repr(chunk)


@pytest.mark.parametrize(
    ("content_type", "url", "told"),
    [
        ("video/mp4", "https://c/v", "video/mp4"),
        ("Video/QuickTime; x=1", "https://c/v.mp4", "video/quicktime"),
        ("application/octet-stream", "https://c/v.MOV?x=.webm", "video/quicktime"),
        ("", "https://c/v.webm", "video/webm"),
        ("binary/octet-stream", "https://c/v", "video/mp4"),
    ],
)
def test_tiktok_is_told_one_of_its_three_types(
    content_type: str, url: str, told: str
) -> None:
    """What the source says counts if it is one of them, else the name, else MP4."""
    assert upload_type(content_type, url) == told
