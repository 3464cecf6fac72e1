"""Mechanisms that can be taken out, to see which cells notice."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Mutant:
    """One mechanism, and how to take it out of this process."""

    without: str
    install: Callable[[], None]


MUTANTS: Final[Mapping[str, Mutant]] = MappingProxyType({})
