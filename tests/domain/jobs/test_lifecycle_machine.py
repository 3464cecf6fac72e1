"""Random lives of one job: no second post, no lost job, no untrue "posted"."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from msgspec.structs import replace

from app.domain.errors import Conflict
from app.domain.jobs.backoff import RetryPolicy, UnconfirmedInit
from app.domain.jobs.corrections import FailedForGood, NoWord, Truth, decide_late
from app.domain.jobs.edit import check_deletable, check_retryable
from app.domain.jobs.job import Job, JobStatus, WaitingFor
from app.domain.jobs.outcome import (
    Abandoned,
    HandedOn,
    Outcome,
    Processing,
    Published,
    PutOff,
    Unconfirmed,
)
from app.domain.jobs.transition import TRANSITIONS, Transition, rescheduled
from tests.domain.jobs.imagined import (
    HARMLESS,
    MOVES,
    Failure,
    Fate,
    Init,
    failure,
    failure_kinds,
)
from tests.domain.jobs.sample import A_FAULT, NOW, a_job, applied, decided

LEASE: Final = timedelta(seconds=300)


def claimed(test: Callable[["Life"], bool]) -> Callable[["Life"], bool]:
    """Narrow a precondition to a job that a worker owns."""
    return lambda life: life.job.claim_token is not None and test(life)


def is_clean(life: "Life") -> bool:
    """Tell whether nothing of the job can be at TikTok, so that an init may go out."""
    return not life.job.in_flight


def is_polling(life: "Life") -> bool:
    """Tell whether TikTok has named the open init."""
    return life.job.in_flight and life.job.publish_id is not None


def is_unknown(life: "Life") -> bool:
    """Tell whether the answer to the open init is not known, or not yet."""
    return life.job.ambiguous


class Life(RuleBasedStateMachine):
    """One job, its workers, an imagined TikTok and a person."""

    unconfirmed = UnconfirmedInit.HOLD

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.job: Job = a_job()
        self.inits: list[Init] = []
        self.policy = RetryPolicy(unconfirmed=self.unconfirmed)

    @initialize(max_attempts=st.integers(1, 4), gateway=st.booleans())
    def accept(self, max_attempts: int, gateway: bool) -> None:
        """Accept a job that nobody has claimed yet."""
        self.job = a_job(
            status=JobStatus.SCHEDULED,
            max_attempts=max_attempts,
            media_token="media-1" if gateway else None,
            next_attempt_at=NOW,
            claim_token=None,
            claimed_by=None,
            claimed_at=None,
            attempt_started_at=None,
        )

    # What the store does

    def write(self, change: Transition) -> None:
        """Apply a change, which has to be one that is drawn."""
        over = self.job.next_attempt_at is None
        stays = over and change.to is self.job.status
        assert stays or change.to in TRANSITIONS[self.job.status]
        self.job = applied(self.job, change)

    def end_with(self, outcome: Outcome) -> None:
        """End the worker's attempt."""
        self.write(decided(self.job, outcome, self.policy, now=self.now))

    @precondition(lambda life: life.job.next_attempt_at is not None)
    @rule()
    def claim(self) -> None:
        """Claim the job at its time; one that is still owned was abandoned."""
        due = self.job.next_attempt_at
        assert due is not None
        self.now = max(self.now, due)
        abandoned = self.job.claim_token is not None
        self.job = replace(
            self.job,
            status=JobStatus.PROCESSING,
            claim_token=f"claim at {self.now}",
            claimed_by="worker-1",
            claimed_at=self.now,
            attempt_started_at=self.job.attempt_started_at or self.now,
            next_attempt_at=self.now + LEASE,
        )
        if abandoned:
            self.end_with(Abandoned(worker="worker-0"))

    # What a worker does

    @precondition(claimed(lambda life: True))
    @rule(wait=st.integers(0, 60), stopped=st.booleans())
    def give_back(self, wait: int, stopped: bool) -> None:
        """Wait for a turn, or stop with the process; at any step of the attempt."""
        at = self.now + timedelta(seconds=wait)
        put_off = PutOff(until=at, waiting_for=WaitingFor.QUOTA)
        self.end_with(HandedOn(resume_at=at) if stopped else put_off)

    @precondition(claimed(lambda life: True))
    @rule(kind=failure_kinds)
    def fail_beside_the_init(self, kind: type[Failure]) -> None:
        """Meet an error of the token or of creator_info; says nothing of an init."""
        self.end_with(failure(kind, in_flight=self.job.in_flight))

    @precondition(claimed(is_clean))
    @rule()
    def note_init(self) -> None:
        """Write ahead that an init goes out: the moment at which posts can double."""
        earlier = [init for init in self.inits if not init.risk_accepted]
        assert all(init.fate in HARMLESS for init in earlier), "a second post"
        self.inits.append(Init(f"pub-{len(self.inits)}"))
        self.job = replace(self.job, init_sent_at=self.now, publish_id=None)

    @precondition(claimed(is_clean))
    @rule()
    def init_well(self) -> None:
        """Send an init that TikTok takes and names at once, as most go."""
        self.note_init()
        self.inits[-1].fate = Fate.TAKEN
        self.init_taken()

    @precondition(claimed(is_unknown))
    @rule()
    def init_taken(self) -> None:
        """Read the publish_id from the answer, or learn it from TikTok's webhook."""
        init = self.inits[-1]
        if init.fate in {Fate.TAKEN, Fate.PUBLISHED, Fate.FAILED}:
            self.job = replace(self.job, publish_id=init.publish_id)

    @precondition(claimed(is_unknown))
    @rule(kind=failure_kinds)
    def init_refused(self, kind: type[Failure]) -> None:
        """Know for sure that this init is nothing: refused, not sent, or fenced off."""
        if self.inits[-1].fate in {Fate.NOTED, Fate.SENT, Fate.NEVER}:
            self.inits[-1].fate = Fate.NEVER
            self.end_with(failure(kind))

    @precondition(claimed(is_unknown))
    @rule()
    def init_unknown(self) -> None:
        """Lose the answer."""
        self.end_with(Unconfirmed(fault=A_FAULT))

    @precondition(claimed(is_polling))
    @rule(kind=failure_kinds)
    def poll(self, kind: type[Failure]) -> None:
        """Ask TikTok until it is done or the deadline comes."""
        publish_id = self.job.publish_id
        assert publish_id is not None
        match self.fate_of(publish_id):
            case Fate.PUBLISHED:
                self.end_with(Published(publish_id=publish_id))
            case Fate.FAILED:
                self.end_with(failure(kind))
            case _:
                self.end_with(Processing(publish_id=publish_id))

    def fate_of(self, publish_id: str) -> Fate:
        """Look an init up as TikTok would."""
        (fate,) = [one.fate for one in self.inits if one.publish_id == publish_id]
        return fate

    # What TikTok and the wire do

    @precondition(lambda life: any(init.fate in MOVES for init in life.inits))
    @rule(data=st.data())
    def move(self, data: st.DataObject) -> None:
        """Let any init go one step on, whoever still waits for it."""
        init = data.draw(st.sampled_from([i for i in self.inits if i.fate in MOVES]))
        moves = sorted(MOVES[init.fate], key=lambda fate: fate.name)
        init.fate = data.draw(st.sampled_from(moves))

    @precondition(lambda life: life.job.next_attempt_at is None)
    @rule()
    def late_word(self) -> None:
        """Ask TikTok about a job that is over; a webhook may have named its init."""
        named = self.job.publish_id
        if self.job.ambiguous:
            named = self.inits[-1].publish_id
        truths: dict[Fate, Truth] = {
            Fate.PUBLISHED: Published(publish_id=named or ""),
            Fate.FAILED: FailedForGood(fault=A_FAULT),
        }
        truth = truths.get(self.fate_of(named), NoWord()) if named else NoWord()
        self.write(decide_late(self.job, truth, now=self.now))

    # What a person does

    @precondition(lambda life: life.job.status is JobStatus.FAILED)
    @rule(accept=st.booleans())
    def retry(self, accept: bool) -> None:
        """Ask for another try, with or without accepting a second post."""
        unknown = self.job.ambiguous
        try:
            check_retryable(self.job, accept_duplicate_risk=accept, now=NOW)
        except Conflict:
            return
        if unknown and accept:
            self.inits[-1].risk_accepted = True
        self.write(rescheduled(self.job, now=self.now))

    # What is always true

    @invariant()
    def what_may_become_a_post_is_guarded(self) -> None:
        """The row of an init that may still succeed is in flight, and stays."""
        watched = [init for init in self.inits if not init.risk_accepted]
        if all(init.fate in HARMLESS for init in watched):
            return
        assert self.job.in_flight or self.job.status is JobStatus.POSTED
        if self.job.claim_token is None and self.job.status is not JobStatus.SCHEDULED:
            with pytest.raises(Conflict):
                check_deletable(self.job)

    @invariant()
    def posted_is_true(self) -> None:
        """A posted job names a post that TikTok published."""
        if self.job.status is JobStatus.POSTED:
            assert self.job.publish_id is not None
            assert self.fate_of(self.job.publish_id) is Fate.PUBLISHED

    @invariant()
    def attempts_are_bounded(self) -> None:
        """No more attempts are counted than were allowed."""
        assert self.job.attempts <= self.job.max_attempts

    def teardown(self) -> None:
        """Even if every further worker dies, the job ends, and says why."""
        for _ in range(self.job.max_attempts + 1):
            if self.job.next_attempt_at is not None:
                self.claim()
        assert self.job.next_attempt_at is None
        assert self.job.status is JobStatus.POSTED or self.job.failure_reason


class RiskyLife(Life):
    """The same with UNCONFIRMED_INIT=retry, which accepts a second post."""

    unconfirmed = UnconfirmedInit.RETRY


BOUNDED: Final = settings(
    max_examples=200,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


def test_no_life_of_a_job_posts_twice_or_loses_it() -> None:
    """An init goes out only while no earlier one of the job can still succeed."""
    run_state_machine_as_test(Life, settings=BOUNDED)


def test_the_lives_are_wild_enough_to_show_a_second_post() -> None:
    """Where an unknown init is sent again, the same lives do post twice."""
    with pytest.raises(AssertionError):
        run_state_machine_as_test(RiskyLife, settings=BOUNDED)
