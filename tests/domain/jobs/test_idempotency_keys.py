"""The key and the written form of a time."""

from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.jobs.idempotency_keys import idempotency_key, iso_millis, to_millis
from tests.domain.jobs.sample import moments

NOON = datetime(2026, 4, 9, 12, tzinfo=UTC)
offsets = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
parts = st.text(st.characters(exclude_characters="|", exclude_categories=["Cs"]))


def key(
    *,
    project_id: str = "proj_1",
    platform: str = "tiktok",
    asset_id: str = "asset_9",
    scheduled_for: datetime = NOON,
) -> str:
    """Make a key of which a test names only what matters."""
    return idempotency_key(
        project_id=project_id,
        platform=platform,
        asset_id=asset_id,
        scheduled_for=scheduled_for,
    )


def test_the_key_is_the_known_one() -> None:
    """The key is the head of the hash anyone can compute from the four parts."""
    text = "proj_1|tiktok|asset_9|2026-04-09T12:00:00.000Z"
    assert key() == sha256(text.encode()).hexdigest()[:32]
    assert key() == "0deb34da853ff1d6fa690da2ed766a44"


def test_a_part_beyond_ascii_is_hashed_as_utf_8() -> None:
    """Any program that hashes UTF-8 gets the same key."""
    text = "プロジェクト|tiktok|🎬|2026-04-09T12:00:00.000Z"
    expected = sha256(text.encode("utf-8")).hexdigest()[:32]
    assert key(project_id="プロジェクト", asset_id="🎬") == expected


@pytest.mark.parametrize(
    "changed", [{"project_id": "a|b"}, {"platform": "|"}, {"asset_id": "x|"}]
)
def test_a_part_with_the_separator_is_refused(changed: dict[str, str]) -> None:
    """Two different requests never share a key by way of the separator."""
    with pytest.raises(ValueError, match=r"contains '\|'"):
        key(**changed)  # type: ignore[arg-type]


@given(
    one=st.tuples(parts, parts, parts),
    two=st.tuples(parts, parts, parts),
    moment=moments,
    later=st.integers(0, 10**9).map(lambda ms: timedelta(milliseconds=ms)),
)
def test_different_parts_give_different_keys(
    one: tuple[str, str, str],
    two: tuple[str, str, str],
    moment: datetime,
    later: timedelta,
) -> None:
    """Two keys are the same exactly if all four parts are."""
    same = one == two and not later
    assert (_key_of(one, moment) == _key_of(two, moment + later)) is same
    assert (_key_of(one, moment) == _key_of(one, moment + later)) is (not later)


def _key_of(texts: tuple[str, str, str], moment: datetime) -> str:
    project, platform, asset = texts
    return key(
        project_id=project, platform=platform, asset_id=asset, scheduled_for=moment
    )


@given(moment=moments, offset=offsets)
def test_any_offset_of_an_instant_gives_the_same_key(
    moment: datetime, offset: timezone
) -> None:
    """The instant counts, not the zone it was written in."""
    assert key(scheduled_for=moment.astimezone(offset)) == key(scheduled_for=moment)


@given(moment=moments, offset=offsets)
def test_a_time_is_cut_to_the_millisecond(moment: datetime, offset: timezone) -> None:
    """Cut, never rounded: less than a millisecond is lost and nothing is added."""
    cut = to_millis(moment.astimezone(offset))
    assert cut.tzinfo is UTC
    assert cut.microsecond % 1000 == 0
    assert timedelta(0) <= moment - cut < timedelta(milliseconds=1)
    assert key(scheduled_for=cut) == key(scheduled_for=moment)


def test_a_time_is_written_as_javascript_does() -> None:
    """Three digits and Z, whatever the offset; nothing is rounded up."""
    late = datetime(
        2026, 4, 9, 23, 59, 59, 999_999, tzinfo=timezone(timedelta(hours=2))
    )
    assert iso_millis(NOON) == "2026-04-09T12:00:00.000Z"
    assert iso_millis(late) == "2026-04-09T21:59:59.999Z"
    assert (
        iso_millis(NOON + timedelta(microseconds=7_001)) == "2026-04-09T12:00:00.007Z"
    )


@given(moment=moments)
def test_a_written_time_reads_back_as_the_stored_one(moment: datetime) -> None:
    """What an answer shows is what is stored."""
    assert datetime.fromisoformat(iso_millis(moment)) == to_millis(moment)
