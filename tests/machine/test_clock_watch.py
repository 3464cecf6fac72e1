"""Two clocks are compared as fairly as one answer between two looks allows."""

from datetime import timedelta

import pytest

from app.machine.clock import ClockWatch
from tests.support.factories import NOW

TOLERANCE = timedelta(seconds=5)


@pytest.mark.parametrize(
    ("theirs", "took", "ahead"),
    [
        (0, 0, 0),
        (2, 3, 0),  # it was read somewhere in between
        (-60, 3, 60),
        (60, 3, -57),
        (4, 3, -1),
    ],
)
def test_what_an_answer_proves(theirs: float, took: float, ahead: float) -> None:
    """Only what no delay explains counts as a difference."""
    watch = ClockWatch(lambda: NOW + timedelta(seconds=took), tolerance=TOLERANCE)
    watch.note(NOW + timedelta(seconds=theirs), asked_at=NOW)
    assert watch.ahead == timedelta(seconds=ahead)
    assert watch.is_skewed is (abs(ahead) > 5)


def test_a_time_that_is_cut_off_gets_the_benefit() -> None:
    """A Date header has whole seconds."""
    watch = ClockWatch(lambda: NOW, tolerance=TOLERANCE)
    cut = timedelta(seconds=1)
    watch.note(NOW - timedelta(seconds=0.9), asked_at=NOW, exact_to=cut)
    assert watch.ahead == timedelta(0)
    watch.note(NOW - timedelta(seconds=9), asked_at=NOW, exact_to=cut)
    assert watch.ahead == timedelta(seconds=8)
