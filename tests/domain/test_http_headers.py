"""Retry-After, in all the forms servers write it."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.http_headers import parse_retry_after

NOW = datetime(2026, 4, 9, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("60", 60.0),
        (" 60 ", 60.0),
        ("+60", 60.0),
        ("1.5", 1.5),
        ("0", 0.0),
        ("-5", None),
        ("Thu, 09 Apr 2026 12:01:30 GMT", 90.0),
        ("Thu, 09 Apr 2026 12:01:30 -0000", 90.0),
        ("Thu, 09 Apr 2026 14:01:30 +0200", 90.0),
        ("Thursday, 09-Apr-26 12:01:30 GMT", 90.0),
        ("Thu, 09 Apr 2026 11:00:00 GMT", None),
        (None, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("1e9", None),
        ("1_0", None),
        ("\u0661\u0662", None),
        ("9" * 400, None),
        ("Thu, 99 Apr 2026 12:00:00 GMT", None),
        ("Thu, 09 Apr 99999999999 12:00:00 GMT", None),
    ],
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    """Numbers and dates to come give seconds; the past says no more than garbage."""
    assert parse_retry_after(header, now=NOW) == seconds


@given(st.text())
def test_never_raises(header: str) -> None:
    """Whatever Retry-After holds, it gives a number of seconds or None."""
    seconds = parse_retry_after(header, now=NOW)
    assert seconds is None or seconds >= 0
