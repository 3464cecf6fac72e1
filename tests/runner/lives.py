"""Lives of one job: workers that die, freeze and wake up at every possible step."""

from dataclasses import dataclass
from typing import Final

from app.domain.jobs.backoff import RetryPolicy
from app.domain.jobs.job import FailureReason, Job, JobStatus
from app.tiktok.values import PublishState
from tests.domain.jobs.sample import NOW
from tests.runner.fates import Event, Fate
from tests.runner.imagined import LEASE, Link, Row, TikTok
from tests.runner.worker import Worker

HOLD: Final = RetryPolicy()
MOST_STEPS: Final = 20_000


@dataclass
class Life:
    """One job from its first claim to its end."""

    fate: Fate
    policy: RetryPolicy = HOLD
    max_attempts: int = 3
    row_type: type[Row] = Row
    gateway: bool = False  # the videos come from our own media gateway
    undisturbed: bool = True  # every worker and every answer came through

    def __post_init__(self) -> None:
        self.now = NOW
        self.row = self.row_type(
            self.policy, max_attempts=self.max_attempts, gateway=self.gateway
        )
        self.tiktok = TikTok()
        self.workers: list[Worker] = []
        self.on_its_way: list[Job] = []

    def take(self, job: Job) -> str:
        """Let an init arrive at TikTok."""
        link = self.row.links.get(job.media_token or "none", Link())
        return self.tiktok.take(self.fate.ending(), link, self.now)

    def live(self) -> None:
        """Go on until the job is over and nobody works on it; raises SecondPost."""
        try:
            self._live()
        finally:
            for worker in self.workers:
                worker.die()
        while self.on_its_way:
            self._arrive()
        self._check()

    def _live(self) -> None:
        for _ in range(MOST_STEPS):
            if self.workers:
                self._disturb(self.fate.event())
            elif self.row.due_at is not None:
                self._claim()
            else:
                return
        raise AssertionError("the job never ends")

    def _disturb(self, event: Event) -> None:
        worker = self.workers[self.fate.index(len(self.workers))]
        self.undisturbed = self.undisturbed and event is Event.GO
        goes_on = True
        match event:
            case Event.GO:
                goes_on = worker.go_on()
            case Event.KILL:
                worker.die()
                goes_on = False
            case Event.FREEZE:
                self._pass_lease()
                self._claim()
            case Event.LEAP:
                self._pass_lease()
            case Event.STOP:
                goes_on = worker.stop()
            case Event.BREAK_OFF:
                goes_on = worker.break_off()
            case Event.BUG:
                goes_on = worker.stumble()
        if not goes_on:
            self.workers.remove(worker)
        if self.on_its_way and event is Event.LEAP:
            self._arrive()

    def _claim(self) -> None:
        """Let another worker find the job, at its time."""
        due_at = self.row.due_at
        if due_at is None:
            return
        self.now = max(self.now, due_at)
        job = self.row.claim(self.now)
        if job is not None:
            self.workers.append(self._worker(job))

    def _worker(self, job: Job) -> Worker:
        return Worker(self, job)

    def _pass_lease(self) -> None:
        self.now += LEASE

    def _arrive(self) -> None:
        self.take(self.on_its_way.pop())

    def _check(self) -> None:
        """Look whether the end is true, and told."""
        job = self.row.job
        numbers = [entry.number for entry in self.row.ledger]
        assert numbers == list(range(1, job.attempt_number + 1)), "gaps in the ledger"
        assert job.attempts <= job.max_attempts
        assert job.claim_token is None
        if job.status is JobStatus.POSTED:
            publish = self.tiktok.taken[job.publish_id or "none"]
            assert publish.status(self.now).state is PublishState.COMPLETE
            return
        assert job.status is JobStatus.FAILED
        assert job.failure_reason, "it does not say why"
        assert job.last_error, "it does not say what happened"
        possible = self.tiktok.possible_posts(self.now)
        assert job.in_flight or not possible, "a post without a guard"
        if self.undisturbed:
            assert job.failure_reason is not FailureReason.UNCONFIRMED
