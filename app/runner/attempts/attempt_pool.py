"""Run a runner's attempts side by side."""

import asyncio
from datetime import datetime
from functools import partial
from typing import Final

import structlog
from msgspec import Struct

from app.domain.jobs.backoff import Random, RetryPolicy
from app.domain.jobs.job import ErrorClass, Job, Transfer
from app.domain.jobs.lifecycle import OUTCOME_UNKNOWN, decide
from app.domain.jobs.outcome import (
    Fault,
    HandedOn,
    Outcome,
    RateLimited,
    Transient,
    Unconfirmed,
)
from app.domain.jobs.transition import Transition
from app.machine.shortage import is_shortage
from app.outbound.dialer import on_behalf_of
from app.runner.attempts.attempt import Attempt
from app.runner.attempts.attempt_state import AttemptState, ClaimLost
from app.runner.attempts.dependencies import Dependencies
from app.runner.attempts.live_effects import LiveEffects
from app.runner.attempts.polling import PollPolicy
from app.runner.attempts.recorder import Recorder
from app.runner.attempts.verdicts import put_off_for_shortage
from app.runner.attempts.ways.gateway import GatewayPull
from app.runner.attempts.ways.live_pull import LivePull
from app.runner.attempts.ways.live_push import LivePush
from app.runner.attempts.ways.pull import Pull
from app.runner.attempts.ways.push import Push
from app.runner.attempts.ways.way import Way

log = structlog.get_logger(__name__)

INTERNAL: Final = Fault(
    error_class=ErrorClass.TRANSIENT,
    code="scheduler_error",
    message="the scheduler made a mistake; its log says which",
)


class AttemptPolicy(Struct, frozen=True, kw_only=True):
    """The rules of attempts: polling and retries."""

    poll: PollPolicy
    retry: RetryPolicy
    random: Random

    def rest_until(
        self, job: Job, change: Transition, fault: Fault, now: datetime
    ) -> datetime:
        """Return until when an account rests after TikTok's rate limit.

        Until the refused job's next attempt, whether it has one left or not: that call
        tells whether the limit is still there.
        """
        return change.next_attempt_at or now + self.retry.delay(
            job.attempts, random=self.random, retry_after=fault.retry_after
        )


class AttemptPool:
    """Runs attempts side by side, each in its own task."""

    def __init__(
        self, deps: Dependencies, rules: AttemptPolicy, *, recorder: Recorder
    ) -> None:
        self._deps = deps
        self._rules = rules
        self._recorder = recorder
        self._running: dict[asyncio.Task[None], LiveEffects] = {}
        self._ended = asyncio.Event()
        self._stopping = False

    def __len__(self) -> int:
        return len(self._running)

    def attempts(self) -> tuple[LiveEffects, ...]:
        """Return the effects of the running attempts."""
        return tuple(self._running.values())

    def start(self, job: Job, *, until: datetime | None = None) -> None:
        """Begin an attempt that must be handed on at ``until`` at the latest."""
        effects = LiveEffects(self._deps, job, until=until)
        if self._stopping:  # a claim may return after the stop
            effects.stop()
        task = asyncio.create_task(self._run(job, effects), name=f"attempt {job.id}")
        self._running[task] = effects
        task.add_done_callback(self._end)

    def overdue(self, now: datetime) -> bool:
        """Tell whether an attempt is past its lease and still has to write."""
        return any(effects.overdue(now) for effects in self._running.values())

    async def one_ended(self) -> None:
        """Wait until an attempt ends, or has ended since the last wait."""
        if self._running:
            # An event, since waiting for thousands of tasks would visit each of them.
            await self._ended.wait()
            self._ended.clear()

    def stop(self) -> None:
        """Tell every attempt to give back its job as soon as that is safe."""
        self._stopping = True
        for task, effects in self._running.items():
            effects.stop()
            if effects.interruptible:
                task.cancel()

    async def drain(self, seconds: float | None = None) -> None:
        """Wait for all attempts; after ``seconds`` break off the rest.

        A job whose attempt is broken off is claimed again after its lease.
        """
        if not self._running:
            return
        _, late = await asyncio.wait(self._running, timeout=seconds)
        if late:
            log.warning(
                "attempts did not end in time and were cancelled", count=len(late)
            )
            for task in late:
                task.cancel()
            await asyncio.wait(late)

    def _end(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._ended.set()

    async def _run(self, job: Job, effects: LiveEffects) -> None:
        """Run one attempt and write its outcome."""
        way_of = partial(_way_of, effects, self._deps)
        attempt = Attempt(job, effects, self._rules.poll, way_of)
        with self._recorder.attempt(job), on_behalf_of(job.project_id):
            try:
                outcome = await _outcome(attempt, effects)
                await self._record(attempt.job, outcome, effects)
            except ClaimLost:
                self._deps.claims.witness.note_drop(attempt.job)
                self._recorder.lost()
            except Exception:
                # The job is claimed again after its lease.
                log.exception(
                    "an outcome could not be stored; the job is claimed again later"
                )

    async def _record(self, job: Job, outcome: Outcome, effects: LiveEffects) -> None:
        now = effects.now()
        change = decide(
            job, outcome, now=now, policy=self._rules.retry, random=self._rules.random
        )
        written = await effects.persist(
            # The stream looks back less far than an outage may last.
            lambda: self._deps.claims.apply(job, change, now=effects.now()),
            even_late=True,
        )
        if written is None:
            raise ClaimLost
        self._recorder.ended(written, outcome, change)
        if isinstance(outcome, RateLimited):
            # The account's next job would be refused as well.
            until = self._rules.rest_until(job, change, outcome.fault, now)
            await effects.rest(outcome.fault, until=until)


def _way_of(effects: LiveEffects, deps: Dependencies, state: AttemptState) -> Way:
    """Return the way for the job's media."""
    if state.job.transfer is Transfer.PUSH:
        return Push(state, LivePush(effects, deps.push))
    pull = Pull if deps.media is None else GatewayPull
    return pull(state, LivePull(effects, deps))


async def _outcome(attempt: Attempt, effects: LiveEffects) -> Outcome:
    """Return the attempt's outcome; a bug gives an outcome, too."""
    try:
        async with effects.connected() as effects.calls:
            return await attempt.run()
    except asyncio.CancelledError:
        if not effects.stopping:
            raise
        _uncancel()
        return HandedOn(resume_at=effects.now())
    except ClaimLost:
        raise
    except Exception as error:
        log.exception("an attempt failed unexpectedly")
        if is_shortage(error) and not attempt.job.ambiguous:
            return put_off_for_shortage(effects.now())
        return _broken(attempt.job)


def _uncancel() -> None:
    """Undo a cancellation that only broke off a wait."""
    task = asyncio.current_task()
    while task is not None and task.cancelling():
        task.uncancel()


def _broken(job: Job) -> Outcome:
    """Return the outcome of an attempt that raised, by what it may have sent."""
    if job.ambiguous:
        return Unconfirmed(fault=OUTCOME_UNKNOWN)
    return Transient(fault=INTERNAL, in_flight=job.in_flight)
