"""Single JSON values, read leniently: a wrong type is a missing value."""

from datetime import UTC, datetime

import pytest

from app.tiktok import fields


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0),
        (7200, 7200),
        (7200.0, 7200),
        ("7200", 7200),
        (9223372036854775807, 9223372036854775807),
        (-1, None),
        ("-1", None),
        (1.5, None),
        (True, None),
        (None, None),
        ("", None),
        ("1_000", None),
        ("\u0661", None),
        (float("inf"), None),
        (float("nan"), None),
        (1e300, None),
        (10**5000, None),
        ("9" * 5000, None),
        ([1], None),
    ],
    ids=lambda value: str(type(value).__name__),
)
def test_integer(value: object, expected: int | None) -> None:
    """A number may come as text or as a float, and has at most 19 digits."""
    assert fields.integer(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1775736000, datetime(2026, 4, 9, 12, 0, tzinfo=UTC)),
        (10**18, None),
        ("soon", None),
    ],
)
def test_moment(value: object, expected: datetime | None) -> None:
    """A time is aware UTC, and none if the calendar has no such day."""
    assert fields.moment(value) == expected


def test_identifiers_stay_exact() -> None:
    """Ids of 19 digits and more are never rounded, as a float would."""
    assert fields.post_identifiers([7602997517160123667, "v_pub~1"]) == (
        "7602997517160123667",
        "v_pub~1",
    )
    assert fields.identifier(76029975171601236671) == "76029975171601236671"
    assert fields.identifier(10**200 - 1) == "9" * 200


@pytest.mark.parametrize("value", [-1, "-1", 0, "0", "000", [], [["1"]], None])
def test_what_is_no_post_has_no_id(value: object) -> None:
    """TikTok says 0 for none, and a post's number is never negative."""
    assert fields.post_identifiers(value) == ()
    assert fields.post_identifiers([value, 7]) == ("7",)


@pytest.mark.parametrize("value", [7602997517160123667.0, 0, -1, True, 10**200])
def test_what_is_no_exact_id_is_none(value: object) -> None:
    """A float may be rounded already; nothing names a publish by these."""
    assert fields.identifier(value) is None
