"""How a video is cut into chunks, and when a new upload URL may be asked for."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.posts.upload import (
    LEAST_CHUNK_BYTES,
    MOST_CHUNK_BYTES,
    MOST_CHUNKS,
    ChunkSizes,
    Span,
    is_over_for_certain,
    may_repeat,
    plan_chunks,
    plan_of,
)

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
SIZES = ChunkSizes()
GIGABYTE = 1024**3


@pytest.mark.parametrize(
    ("size", "chunk", "count", "last"),
    [
        (1, 1, 1, 1),
        (4_999_999, 4_999_999, 1, 4_999_999),
        (64_000_000, 64_000_000, 1, 64_000_000),
        (64_000_001, 10_000_000, 6, 14_000_001),
        (70_000_000, 10_000_000, 7, 10_000_000),
        (4 * GIGABYTE, 10_000_000, 429, 14_967_296),
    ],
)
def test_a_video_is_cut_as_tiktok_asks(
    size: int, chunk: int, count: int, last: int
) -> None:
    """Whole up to 64,000,000 bytes, else 10,000,000 each; the last takes the rest."""
    plan = plan_chunks(size, SIZES)
    assert (plan.chunk_size, plan.count) == (chunk, count)
    assert plan.span_from((count - 1) * chunk).length == last


@given(size=st.integers(1, 4 * GIGABYTE))
def test_every_plan_keeps_tiktoks_limits_and_covers_the_video(size: int) -> None:
    """5 to 64 MB a chunk, the last up to 128 MB, 1000 at most, no byte twice."""
    plan = plan_chunks(size, SIZES)
    assert plan.count == max(1, size // plan.chunk_size) <= MOST_CHUNKS
    if plan.count > 1:
        assert LEAST_CHUNK_BYTES <= plan.chunk_size <= MOST_CHUNK_BYTES
    offset = spans = 0
    while offset < size:
        span = plan.span_from(offset)
        assert span.start == offset
        assert span.length <= 2 * MOST_CHUNK_BYTES
        assert plan.ends_with(span) == (spans == plan.count - 1)
        offset, spans = span.end, spans + 1
    assert (offset, spans) == (size, plan.count)
    assert plan_of(size, plan.chunk_size) == plan


def test_an_upload_goes_on_with_the_rest_of_a_chunk() -> None:
    """TikTok knows chunks by their ends: a partial one is filled up, not begun anew."""
    plan = plan_chunks(35, ChunkSizes(whole=10, chunk=10))
    assert plan.span_from(13) == Span(13, 20)
    assert plan.span_from(34) == Span(34, 35)


def test_a_file_just_above_the_limit_for_whole_ones_may_still_be_one_chunk() -> None:
    """With odd settings too, one chunk is announced with the video's own size."""
    plan = plan_chunks(15, ChunkSizes(whole=12, chunk=10))
    assert (plan.chunk_size, plan.count) == (15, 1)


@pytest.mark.parametrize("offset", [-1, 35, 36])
def test_no_byte_outside_the_video_is_ever_sent(offset: int) -> None:
    """A wrong progress from TikTok must not become a wrong range."""
    with pytest.raises(ValueError, match="no byte"):
        plan_chunks(35, SIZES).span_from(offset)


def test_an_empty_file_has_no_plan() -> None:
    """There is nothing that could be sent."""
    with pytest.raises(ValueError, match="empty"):
        plan_chunks(0, SIZES)


@pytest.mark.parametrize(("minutes", "over"), [(59, False), (61, False), (76, True)])
def test_an_upload_url_is_over_for_certain_only_some_time_after_its_hour(
    minutes: int, over: bool
) -> None:
    """A request that was running when the hour ended may still be taken."""
    issued = NOW - timedelta(minutes=minutes)
    assert is_over_for_certain(issued, now=NOW) is over


def test_three_repeats_an_hour_are_free() -> None:
    """A fourth goes by the schedule; an hour later the first is forgotten."""
    sent = tuple((NOW - timedelta(minutes=each)).timestamp() for each in (59, 30, 1))
    assert may_repeat(sent[1:], now=NOW)
    assert not may_repeat(sent, now=NOW)
    assert may_repeat(sent, now=NOW + timedelta(minutes=1))
