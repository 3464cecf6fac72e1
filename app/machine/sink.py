"""Where the bytes of a stream go."""

from collections.abc import Callable
from typing import Protocol


class Sink(Protocol):
    """Takes bytes one piece at a time, and says when to wait."""

    on_change: Callable[[], None] | None  # called when it is free again, or over

    @property
    def is_full(self) -> bool:
        """Tell whether it has more than it can pass on: write no more for now."""
        ...

    @property
    def is_over(self) -> bool:
        """Tell whether it needs nothing any more."""
        ...

    def write(self, piece: bytes) -> None:
        """Take a piece."""
        ...
