"""No job waits longer than a right clock would have let it."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.jobs.redating import Bounds, Dated, redated
from tests.support.factories import NOW

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
BOUNDS = Bounds(lease=5 * MINUTE, longest=HOUR, delivery=HOUR, slack=MINUTE / 6)


def dated(**changes: Any) -> Dated:  # noqa: ANN401
    """Describe a job that was put off an hour after its time."""
    row: dict[str, Any] = {
        "id": "job",
        "next_attempt_at": NOW + MINUTE,
        "updated_at": NOW - MINUTE,
        "scheduled_for": NOW - HOUR,
        "post_now": False,
        "is_claimed": False,
    }
    return Dated(**row | changes)


@pytest.mark.parametrize(
    ("row", "right"),
    [
        ({}, None),
        ({"next_attempt_at": NOW + HOUR}, None),
        # Written a day ahead, or before the clock went back by an hour: it was to
        # wait for two minutes.
        (
            {"next_attempt_at": NOW + DAY + 2 * MINUTE, "updated_at": NOW + DAY},
            NOW + 2 * MINUTE,
        ),
        (
            {"next_attempt_at": NOW + HOUR + 2 * MINUTE, "updated_at": NOW + HOUR},
            NOW + 2 * MINUTE,
        ),
        # Whoever wrote it: nothing waits for a day.
        ({"next_attempt_at": NOW + DAY}, NOW + HOUR),
        # Changed by a clock ahead after it was put off: it is due.
        ({"next_attempt_at": NOW + 5 * MINUTE, "updated_at": NOW + HOUR}, NOW),
        # A claim lasts as long as any.
        ({"is_claimed": True, "next_attempt_at": NOW + 5 * MINUTE}, None),
        (
            {
                "is_claimed": True,
                "next_attempt_at": NOW + DAY,
                "updated_at": NOW + DAY,
            },
            NOW + 5 * MINUTE,
        ),
        # The time that a person chose stays, and Post Now has none.
        (
            {
                "next_attempt_at": NOW + DAY,
                "scheduled_for": NOW + DAY,
                "updated_at": NOW + DAY,
            },
            None,
        ),
        (
            {
                "next_attempt_at": NOW + DAY,
                "scheduled_for": NOW + DAY,
                "post_now": True,
            },
            NOW,
        ),
    ],
)
def test_when_it_is_due_again(row: dict[str, Any], right: object) -> None:
    """A wait counts from now on if a clock that was ahead wrote it."""
    assert redated(dated(**row), now=NOW, bounds=BOUNDS) == right


moments = st.timedeltas(min_value=-DAY, max_value=400 * DAY).map(
    lambda span: NOW + span
)


@given(moments, moments, moments, st.booleans(), st.booleans())
def test_it_is_never_put_off_further(
    at: Any,  # noqa: ANN401
    updated_at: Any,  # noqa: ANN401
    scheduled_for: Any,  # noqa: ANN401
    post_now: bool,
    is_claimed: bool,
) -> None:
    """A due time that was corrected is never corrected again."""
    row = dated(
        next_attempt_at=at,
        updated_at=updated_at,
        scheduled_for=scheduled_for,
        post_now=post_now,
        is_claimed=is_claimed,
    )
    right = redated(row, now=NOW, bounds=BOUNDS)
    if right is None:
        return
    assert NOW <= right < at
    again = dated(
        next_attempt_at=right,
        updated_at=NOW,
        scheduled_for=scheduled_for,
        post_now=post_now,
        is_claimed=is_claimed,
    )
    assert redated(again, now=NOW, bounds=BOUNDS) is None
