"""Who may have how many file descriptors."""

import subprocess
import sys

import pytest

from app.machine.descriptors import MOST_CALLERS, Descriptors, share_out
from tests.support.repository import ROOT


def shared_out(limit: int) -> Descriptors:
    """Share out a limit as the default settings do."""
    return share_out(limit, in_flight=500, pool_size=10)


@pytest.mark.parametrize("limit", [64, 256, 1024, 1100, 2000, 4096, 65_536, 1_048_576])
def test_callers_get_what_is_left(limit: int) -> None:
    """A quarter at least; the rest is kept for posts, and what is missing is said."""
    found = shared_out(limit)
    assert limit // 4 <= found.callers or found.callers == MOST_CALLERS
    assert found.callers <= MOST_CALLERS
    assert found.short_by == max(0, found.callers + found.reserved - limit)
    if found.short_by:
        assert found.callers == limit // 4


def test_more_attempts_leave_fewer_callers() -> None:
    """MAX_IN_FLIGHT is reckoned with."""
    few = share_out(1024, in_flight=10, pool_size=10)
    many = share_out(1024, in_flight=20, pool_size=10)
    assert many.reserved == few.reserved + 10


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    """A shell's 1,024 is no limit where the hard one is higher."""
    code = (
        "import resource as r;"
        "from app.machine.descriptors import raise_soft_limit;"
        "print(raise_soft_limit(), *r.getrlimit(r.RLIMIT_NOFILE))"
    )
    shell = f"ulimit -Sn 300 && ulimit -Hn 700 && exec {sys.executable} -c '{code}'"
    run = subprocess.run(
        ["sh", "-c", shell], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["700", "700", "700"]
