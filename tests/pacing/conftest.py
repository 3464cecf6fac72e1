"""Databases of one process and of four, and a clock set by hand."""

import pytest

from tests.pacing.pacers import HandClock
from tests.runner.conftest import stage
from tests.store.conftest import database, processes

__all__ = ["database", "processes", "stage"]


@pytest.fixture
def clock() -> HandClock:
    """Give a clock."""
    return HandClock()
