"""Records behave as the dataclasses that a type checker takes them for."""

import copy
import pickle
from dataclasses import FrozenInstanceError, asdict, fields
from dataclasses import replace as slow_replace

import pytest

from app.domain.record import record, replace


@record(frozen=True, kw_only=True)
class Point:
    """Something with and without a default."""

    x: int
    y: int = 2


def test_values_and_defaults() -> None:
    """What is not given is what the class says."""
    assert (Point(x=1).x, Point(x=1).y, Point(x=1, y=3).y) == (1, 2, 3)
    assert [field.name for field in fields(Point(x=1))] == ["x", "y"]
    assert asdict(Point(x=1)) == {"x": 1, "y": 2}


def test_equal_values_make_equal_records() -> None:
    """In sets too, and whichever way they were made."""
    assert Point(x=1) == Point(x=1, y=2) == replace(Point(x=5), x=1)
    assert Point(x=1) != Point(x=2)
    assert len({Point(x=1), Point(x=1), slow_replace(Point(x=2), x=1)}) == 1
    assert repr(Point(x=1)) == "Point(x=1, y=2)"


def test_a_copy_leaves_the_original_alone() -> None:
    """Nothing is shared but the values."""
    old = Point(x=1)
    new = replace(old, y=7)
    assert (old.y, new.x, new.y) == (2, 1, 7)
    assert copy.copy(old) == copy.deepcopy(old) == pickle.loads(pickle.dumps(old))


def test_records_are_frozen() -> None:
    """Nobody changes what another holds."""
    point = Point(x=1)
    with pytest.raises(FrozenInstanceError):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del point.x
    assert point == Point(x=1)


def test_what_is_missing_or_unknown_is_named() -> None:
    """As with a constructor that lists its arguments."""
    with pytest.raises(TypeError, match="Point: x: missing"):
        Point()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="Point: z: "):
        Point(x=1, z=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="Point: z: "):
        replace(Point(x=1), z=3)  # type: ignore[call-arg]
