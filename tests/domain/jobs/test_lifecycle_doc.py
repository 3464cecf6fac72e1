"""docs/lifecycle.md says what the code does."""

import re
from itertools import product
from pathlib import Path
from typing import get_args

import pytest

from app.domain.jobs.backoff import RetryPolicy, UnconfirmedInit
from app.domain.jobs.job import Job, WaitingFor
from app.domain.jobs.lifecycle import decide
from app.domain.jobs.outcome import (
    Abandoned,
    AuthLost,
    HandedOn,
    InInbox,
    Missed,
    Outcome,
    Processing,
    Published,
    PutOff,
    RateLimited,
    Rejected,
    Transient,
    Unconfirmed,
)
from app.domain.jobs.transition import TRANSITIONS, Transition
from tests.domain.jobs.sample import A_FAULT, NOW, a_job, in_flight

PAGE = Path(__file__).parents[3].joinpath("docs", "lifecycle.md").read_text("utf-8")

OUTCOMES: list[Outcome] = [
    Published(publish_id="pub-1"),
    InInbox(publish_id="pub-1"),
    Processing(publish_id="pub-1"),
    RateLimited(fault=A_FAULT),
    Transient(fault=A_FAULT),
    Rejected(fault=A_FAULT),
    AuthLost(fault=A_FAULT),
    Unconfirmed(fault=A_FAULT),
    Abandoned(worker="worker-0"),
    Missed(),
    PutOff(until=NOW, waiting_for=WaitingFor.QUOTA),
    HandedOn(resume_at=NOW),
]


def _jobs() -> list[Job]:
    clean = [a_job(attempts=attempts) for attempts in (0, 1, 4)]
    polling = [in_flight(job) for job in clean]
    return [*clean, *polling, *(in_flight(job, publish_id=None) for job in clean)]


def _changes(outcome: Outcome) -> list[tuple[Job, Transition]]:
    policies = [RetryPolicy(unconfirmed=choice) for choice in UnconfirmedInit]
    return [
        (job, decide(job, outcome, now=NOW, policy=policy, random=lambda: 0))
        for job, policy in product(_jobs(), policies)
    ]


def _state(change: Transition) -> str:
    reason = change.failure_reason
    return f"{change.to}({reason})" if reason else str(change.to)


def _table() -> dict[str, tuple[set[str], int]]:
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\| (\+1|0) \|$", PAGE, re.MULTILINE)
    return {
        name: (set(re.findall(r"`([a-z]+(?:\([a-z_]+\))?)`", states)), int(attempts))
        for name, states, attempts in rows
    }


def test_the_diagram_draws_every_way_and_no_other() -> None:
    """The arrows between states are exactly those that a row may take."""
    drawn = re.findall(r"^ +(\w+) --> (\w+):", PAGE, re.MULTILINE)
    real = {(str(one), str(to)) for one, ways in TRANSITIONS.items() for to in ways}
    assert len(drawn) == len(set(drawn))
    assert set(drawn) == real


def test_the_table_has_every_outcome() -> None:
    """No outcome is left out, of the page or of this test."""
    names = {kind.__name__ for kind in get_args(Outcome)}
    assert set(_table()) == names
    assert {type(outcome).__name__ for outcome in OUTCOMES} == names


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda one: type(one).__name__)
def test_the_table_tells_each_outcomes_states_and_price(outcome: Outcome) -> None:
    """Each row names the states that its outcome can lead to, and what it counts."""
    states, price = _table()[type(outcome).__name__]
    changes = _changes(outcome)
    assert {_state(change) for _, change in changes} == states
    assert {change.attempts - job.attempts for job, change in changes} == {price}


def test_every_state_has_its_paragraph() -> None:
    """A newcomer finds who sets each state and when it leaves."""
    told = re.findall(r"^\*\*(\w+)\*\* is set ", PAGE, re.MULTILINE)
    assert sorted(told) == sorted(str(status) for status in TRANSITIONS)
