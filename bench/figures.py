"""A figure, the bar it has to reach, and what every benchmark looks like.

A benchmark is a module of this package with

    async def run(rounds: int, quick: bool) -> list[Figure]

that measures everything it compares in the same rounds, turn about, and is listed in
bench/catalogue.py. Only ratios of one run can be held against a bar: absolute times
belong to the machine.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

TIMES = "×"  # noqa: RUF001  the multiplication sign is meant
"""The unit of a ratio."""


class Direction(StrEnum):
    """Which side of its bar a figure belongs on."""

    AT_LEAST = "≥"
    AT_MOST = "≤"


@dataclass(frozen=True, slots=True)
class Bar:
    """What a figure has to reach."""

    direction: Direction
    limit: float

    def is_met(self, value: float) -> bool:
        """Tell whether a figure is on the right side."""
        if self.direction is Direction.AT_LEAST:
            return value >= self.limit
        return value <= self.limit

    def __str__(self) -> str:
        return f"{self.direction} {self.limit:g}"


def at_least(limit: float) -> Bar:
    """Ask for this much or more."""
    return Bar(Direction.AT_LEAST, limit)


def at_most(limit: float) -> Bar:
    """Ask for this much or less."""
    return Bar(Direction.AT_MOST, limit)


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that was measured, or the ratio of two."""

    name: str
    value: float
    unit: str  # TIMES for a ratio
    bar: Bar | None = None
    note: str = ""
    rounds: tuple[float, ...] = ()  # what ``value`` is the median of

    @property
    def is_met(self) -> bool | None:
        """Tell whether the bar is reached; None without one."""
        return None if self.bar is None else self.bar.is_met(self.value)


class Benchmark(Protocol):
    """A module of this package that measures something."""

    async def run(self, rounds: int, quick: bool) -> list[Figure]:
        """Measure in so many rounds; ``quick`` only shows that everything runs."""
        ...


def median(
    name: str,
    rounds: Sequence[float],
    unit: str,
    *,
    bar: Bar | None = None,
    note: str = "",
) -> Figure:
    """Make a figure of the median of its rounds."""
    return Figure(name, statistics.median(rounds), unit, bar, note, tuple(rounds))


def ratio(
    name: str,
    ours: Sequence[float],
    theirs: Sequence[float],
    *,
    bar: Bar | None = None,
    note: str = "",
) -> Figure:
    """Make a figure of the median of the rounds' ratios.

    Both values of a round were measured side by side, so that other load on the
    machine affects both.
    """
    each = [one / other for one, other in zip(ours, theirs, strict=True)]
    return median(name, each, TIMES, bar=bar, note=note)
