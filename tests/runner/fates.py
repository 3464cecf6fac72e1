"""What may happen to an attempt, and who decides which of it does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from random import Random
from typing import Final, Protocol, TypeVar

from tests.runner.imagined import Ending

T = TypeVar("T")


class Event(Enum):
    """What happens to a worker between two steps."""

    GO = "it goes on"
    KILL = "its process dies"
    FREEZE = "it stands still while another takes the job over, and wakes up later"
    LEAP = "it stands still past its lease, and nobody noticed yet"
    STOP = "it is told to stop, which breaks off the wait or question it is in"
    BREAK_OFF = "it is told to stop, and nobody waits for what it is in"
    BUG = "our own code raises"


MENU: Final[Mapping[str, tuple[str, ...]]] = {
    "access": ("ok", "blip", "gone"),
    "renew": ("ok", "blip", "gone"),
    "permit": ("ok", "soon", "late"),
    "hurried": ("ok", "yes"),
    "in_time": ("ok", "no"),
    "creator_info": (
        *("ok", "refused", "blip", "limited", "banned", "no_scope", "late"),
        *("capped", "not_offered"),
    ),
    "init": (
        *("ok", "refused", "blip", "limited", "banned", "unsent", "capped"),
        *("no_scope", "lost_taken", "lost_untaken", "lost_and_late"),
    ),
    "source": ("ok", "unreachable", "changed", "no_range"),
    "put": ("ok", "cut", "busy", "lost", "wrong_range", "late", "over"),
    "status": ("ok", "refused", "blip", "limited", "banned", "no_scope"),
}
"""What each effect may do; the first is what a friendly world does."""


class Fate(Protocol):
    """Decides everything that is not decided by the code under test."""

    def answer(self, effect: str) -> str:
        """Choose what an effect does, from its menu."""
        ...

    def event(self) -> Event:
        """Choose what happens to a worker at its next step."""
        ...

    def ending(self) -> Ending:
        """Choose how a publish goes on that was taken just now."""
        ...

    def index(self, count: int) -> int:
        """Choose which of several comes next."""
        ...


@dataclass
class Planned:
    """One plan: answers in a row for some effects, one event at one step."""

    answers: Mapping[str, Sequence[str]] = field(default_factory=dict)
    at: int = -1
    what: Event = Event.GO
    ends: Sequence[Ending] = (Ending.SOON,)
    steps: int = 0
    _used: dict[str, int] = field(default_factory=dict)

    def answer(self, effect: str) -> str:
        """Answer as planned, and kindly after that."""
        used = self._used[effect] = self._used.get(effect, 0) + 1
        row = self.answers.get(effect, ())
        return row[used - 1] if used <= len(row) else "ok"

    def event(self) -> Event:
        """Let the event happen at its step."""
        self.steps += 1
        return self.what if self.steps - 1 == self.at else Event.GO

    def ending(self) -> Ending:
        """End as planned; the last ending repeats."""
        used = self._used["ending"] = self._used.get("ending", 0) + 1
        return self.ends[min(used, len(self.ends)) - 1]

    def index(self, count: int) -> int:
        """Let the oldest go first: a worker that woke up runs to its end."""
        return 0


@dataclass
class Thrown:
    """Chance, with only so much mischief in one life that every life ends."""

    random: Random
    mischief: int = 12

    def answer(self, effect: str) -> str:
        """Answer kindly most times."""
        menu = MENU[effect]
        return menu[self._one_of(len(menu)) if self._strikes(0.08) else 0]

    def event(self) -> Event:
        """Let something happen at some steps."""
        return _EVENTS[self._one_of(len(_EVENTS)) if self._strikes(0.08) else 0]

    def ending(self) -> Ending:
        """Choose any ending."""
        return _ENDINGS[self._one_of(len(_ENDINGS))]

    def index(self, count: int) -> int:
        """Choose any."""
        return self._one_of(count)

    def _strikes(self, chance: float) -> bool:
        if self.mischief and self.random.random() < chance:
            self.mischief -= 1
            return True
        return False

    def _one_of(self, count: int) -> int:
        return int(self.random.random() * count)


_EVENTS: Final[tuple[Event, ...]] = tuple(Event)
_ENDINGS: Final[tuple[Ending, ...]] = (*[Ending.SOON] * 4, *Ending)
