"""Count how often an asset was asked for, so that it can change or go away."""

from collections import OrderedDict
from dataclasses import dataclass, field

KEPT = 10_000
"""Addresses whose visits are counted; the ones longest unvisited are forgotten."""


@dataclass(slots=True)
class Visits:
    """Keep one number per address."""

    counts: OrderedDict[str, int] = field(default_factory=OrderedDict)

    def seen(self, address: str) -> int:
        """Tell how often it was asked for."""
        return self.counts.get(address, 0)

    def count(self, address: str) -> int:
        """Count one more, and tell how many there were before."""
        before = self.counts.pop(address, 0)
        self.counts[address] = before + 1
        if len(self.counts) > KEPT:
            self.counts.popitem(last=False)
        return before
