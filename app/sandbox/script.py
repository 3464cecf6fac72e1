"""The script of faults: which call meets which fault."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, model_validator

from app.sandbox.faults import (
    AnswerFault,
    DateHeader,
    Fault,
    Processing,
    Shaping,
    Slow,
    TokenDeath,
    WebhookFault,
)
from app.sandbox.recording import Call
from app.sandbox.settings import Camel
from app.sandbox.upload_faults import SlowRead

T = TypeVar("T")

INITS = frozenset({Call.INIT, Call.INBOX_INIT, Call.CONTENT_INIT})
UPLOAD = frozenset({Call.UPLOAD})
CALLS_OF_KIND: Mapping[str, frozenset[Call]] = {
    "processing": INITS,
    "ok_without_publish_id": INITS,
    "webhook": INITS | {Call.REVOKE},
    "invalid_grant": frozenset({Call.TOKEN}),
    "cancel_ignored": frozenset({Call.CANCEL}),
    "reshape": frozenset(Call) - {Call.AUTHORIZE, Call.UPLOAD},
    "cut": UPLOAD,
    "upload_answer": UPLOAD,
    "upload_expired": UPLOAD,
    "slow_read": UPLOAD,
}
"""Kinds that make sense for some calls alone."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Hold what is known of a call before it is carried out."""

    call: Call
    open_id: str | None
    publish_id: str | None
    title: str | None
    chunk: int | None = None


class Match(Camel):
    """Name what a call must be about; what is left out fits every call."""

    open_id: str | None = None
    title: str | None = None
    publish_id: str | None = None
    chunk: int | None = Field(default=None, ge=0)
    """A chunk of an upload, counted from 0."""


class FaultRule(Camel):
    """Say when a fault strikes.

    Calls that fit are counted: the first `after` go free, then each is struck with the
    probability, until `times` were struck (None: for ever).
    """

    call: Call | Literal["any"]
    fault: Annotated[Fault, Field(discriminator="kind")]
    times: int | None = Field(default=1, ge=1)
    after: int = Field(default=0, ge=0)
    probability: float = Field(default=1, ge=0, le=1)
    match: Match = Match()

    @model_validator(mode="after")
    def _kind_suits_call(self) -> Self:
        calls = CALLS_OF_KIND.get(self.fault.kind)
        if calls and self.call != "any" and self.call not in calls:
            raise ValueError(
                f"{self.fault.kind} is for {', '.join(sorted(calls))}, not {self.call}"
            )
        return self

    def fits(self, seen: Seen) -> bool:
        """Tell whether the rule is about this call."""
        wanted = self.match
        return (
            self.call in ("any", seen.call)
            and seen.call in CALLS_OF_KIND.get(self.fault.kind, (seen.call,))
            and wanted.open_id in (None, seen.open_id)
            and wanted.title in (None, seen.title)
            and wanted.publish_id in (None, seen.publish_id)
            and wanted.chunk in (None, seen.chunk)
        )


@dataclass(frozen=True, slots=True)
class Drawn:
    """Hold the faults of one call: at most one of each sort."""

    slow: Slow | None = None
    token_death: TokenDeath | None = None
    processing: Processing | None = None
    webhook: WebhookFault | None = None
    date: DateHeader | None = None
    slow_read: SlowRead | None = None
    answer: AnswerFault | None = None

    @property
    def names(self) -> str | None:
        """Name the kinds for the record, joined by +."""
        faults: tuple[Fault | None, ...] = (
            self.slow,
            self.token_death,
            self.processing,
            self.webhook,
            self.date,
            self.slow_read,
            self.answer,
        )
        return "+".join(fault.kind for fault in faults if fault) or None

    def plus(self, fault: Fault) -> "Drawn":
        """Add a fault, unless there is one of its sort already."""
        return Drawn(
            slow=self.slow or _of(Slow, fault),
            token_death=self.token_death or _of(TokenDeath, fault),
            processing=self.processing or _of(Processing, fault),
            webhook=self.webhook or _of(WebhookFault, fault),
            date=self.date or _of(DateHeader, fault),
            slow_read=self.slow_read or _of(SlowRead, fault),
            answer=self.answer or _answer(fault),
        )


NOTHING = Drawn()


@dataclass(slots=True)
class Entry:
    """Hold a rule and how often it was met."""

    rule: FaultRule
    met: int = 0
    struck: int = 0

    def meet(self, seen: Seen, random: Random) -> bool:
        """Count the call if it fits, and tell whether it may be struck."""
        spent = self.rule.times is not None and self.struck >= self.rule.times
        if spent or not self.rule.fits(seen):
            return False
        self.met += 1
        return self.met > self.rule.after and random.random() < self.rule.probability


@dataclass(slots=True)
class Script:
    """Keep the rules in the order in which they were written."""

    entries: dict[int, Entry] = field(default_factory=dict)
    numbers: "count[int]" = field(default_factory=lambda: count(1))

    def add(self, rule: FaultRule) -> int:
        """Write a rule; the answer is its id."""
        number = next(self.numbers)
        self.entries[number] = Entry(rule)
        return number

    def remove(self, number: int) -> bool:
        """Strike a rule out; False if there is none with this id."""
        return self.entries.pop(number, None) is not None

    def clear(self) -> None:
        """Strike every rule out."""
        self.entries.clear()

    def draw(self, seen: Seen, random: Random) -> Drawn:
        """Draw the faults of a call: of each sort, the first rule that strikes."""
        drawn = NOTHING
        for entry in self.entries.values():
            if entry.meet(seen, random):
                more = drawn.plus(entry.rule.fault)
                entry.struck += more != drawn
                drawn = more
        return drawn


def _of(kind: type[T], fault: Fault) -> T | None:
    return fault if isinstance(fault, kind) else None


def _answer(fault: Fault) -> AnswerFault | None:
    return None if isinstance(fault, Shaping) else fault
