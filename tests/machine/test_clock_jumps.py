"""A clock that was set is noticed by one that only counts."""

from datetime import timedelta

import pytest

from app.machine.clock import ClockJumps
from tests.support.factories import NOW

HOUR = timedelta(hours=1)


class Machine:
    """Two clocks of one machine."""

    def __init__(self) -> None:
        self.time, self.counted = NOW, 100.0

    def go_on(self, seconds: float, *, jump: timedelta = timedelta(0)) -> None:
        """Let time pass, and the clock be set meanwhile."""
        self.counted += seconds
        self.time += timedelta(seconds=seconds) + jump


@pytest.mark.parametrize("jump", [HOUR, -HOUR, timedelta(seconds=6)])
def test_a_jump_is_told_once(jump: timedelta) -> None:
    """Time that passes is none, however much of it."""
    machine = Machine()
    jumps = ClockJumps(
        lambda: machine.time,
        lambda: machine.counted,
        tolerance=timedelta(seconds=5),
    )
    machine.go_on(86_400)
    assert jumps.look() is None
    machine.go_on(0.9, jump=jump)
    assert jumps.look() == jump
    machine.go_on(0.9)
    assert jumps.look() is None


def test_a_clock_that_is_slewed_has_not_jumped() -> None:
    """A time service corrects by little at a time."""
    machine = Machine()
    jumps = ClockJumps(
        lambda: machine.time,
        lambda: machine.counted,
        tolerance=timedelta(seconds=5),
    )
    for _ in range(100):
        machine.go_on(1, jump=timedelta(seconds=0.1))
        assert jumps.look() is None
