"""An imagined database row and an imagined TikTok: what is true, whoever crashes.

They live in memory on a clock of their own, so that thousands of lives of one job pass
in a second. The row keeps the store's rules: who lost the claim can write nothing.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from msgspec.structs import replace

from app.domain.jobs.backoff import RetryPolicy
from app.domain.jobs.job import AttemptRecord, Job, JobStatus
from app.domain.jobs.lifecycle import decide
from app.domain.jobs.outcome import Abandoned, Outcome
from app.tiktok.values import PublishState, PublishStatus
from tests.domain.jobs.sample import NOW, a_job, applied

LEASE: Final = timedelta(seconds=300)


UNCLAIMED: Final = a_job(
    status=JobStatus.SCHEDULED,
    next_attempt_at=NOW,
    claim_token=None,
    claimed_by=None,
    claimed_at=None,
    attempt_started_at=None,
)


class SecondPost(AssertionError):
    """TikTok took an init while an earlier one of the same job could become a post."""


class Ending(Enum):
    """How a publish goes on once TikTok took its init: after so long, to this end."""

    SOON = 1, PublishState.COMPLETE, None
    LATER = 200, PublishState.COMPLETE, None
    NEVER = 10**9, PublishState.COMPLETE, None
    BROKEN = 20, PublishState.FAILED, "internal"
    BANNED = 20, PublishState.FAILED, "spam_risk"
    CAPPED = 20, PublishState.FAILED, "spam_risk_too_many_posts"
    REVOKED = 20, PublishState.FAILED, "auth_removed"

    @property
    def fetched_after(self) -> timedelta:
        """Return when the video is fetched: at once, or with the slow ones late."""
        return timedelta(seconds=0 if self is Ending.SOON else 10)


@dataclass(slots=True)
class Link:
    """A pull URL of our own media gateway."""

    fetched_at: datetime | None = None
    revoked: bool = False

    def revoke(self, now: datetime) -> bool:
        """Withdraw the video; False if TikTok has it."""
        if self.fetched_at is not None and self.fetched_at <= now:
            return False
        self.revoked = True
        return True


@dataclass(frozen=True, slots=True)
class Publish:
    """One init that TikTok took."""

    publish_id: str
    taken_at: datetime
    ending: Ending
    link: Link

    def status(self, now: datetime) -> PublishStatus:
        """Tell how far it is."""
        if self.link.revoked:
            return PublishStatus(
                state=PublishState.FAILED, fail_reason="video_pull_failed"
            )
        seconds, state, reason = self.ending.value
        if now < self.taken_at + timedelta(seconds=seconds):
            return PublishStatus(state=PublishState.PROCESSING)
        return PublishStatus(state=state, fail_reason=reason)


@dataclass(slots=True)
class TikTok:
    """Whatever it took, by publish_id."""

    taken: dict[str, Publish] = field(default_factory=dict)

    def take(self, ending: Ending, link: Link, now: datetime) -> str:
        """Take an init, and fetch its video soon; raises SecondPost."""
        publish_id = f"pub-{len(self.taken)}"
        link.fetched_at = link.fetched_at or now + ending.fetched_after
        self.taken[publish_id] = Publish(publish_id, now, ending, link)
        if len(self.possible_posts(now)) > 1:
            raise SecondPost(f"{self.possible_posts(now)} at {now}")
        return publish_id

    def possible_posts(self, now: datetime) -> list[Publish]:
        """List what was published, or may still be."""
        every = self.taken.values()
        return [it for it in every if it.status(now).state is not PublishState.FAILED]


class Row:
    """One job's row and its ledger."""

    link_type = Link

    def __init__(
        self, policy: RetryPolicy, *, max_attempts: int, gateway: bool
    ) -> None:
        self.job = replace(UNCLAIMED, max_attempts=max_attempts)
        self.ledger: list[AttemptRecord] = []
        self.links: dict[str, Link] = {}
        self.claims = 0
        self._gateway = gateway
        self._policy = policy

    @property
    def due_at(self) -> datetime | None:
        """Return when somebody may claim it, None once it is over."""
        return self.job.next_attempt_at

    def claim(self, now: datetime) -> Job | None:
        """Give the due job to a new worker; None if taking it over ended it."""
        former = self.job
        self.claims += 1
        goes_on = former.status is JobStatus.PROCESSING
        self.job = replace(
            former,
            status=JobStatus.PROCESSING,
            claim_token=f"claim-{self.claims}",
            claimed_by=f"worker-{self.claims}",
            claimed_at=now,
            attempt_started_at=(goes_on and former.attempt_started_at) or now,
            next_attempt_at=now + LEASE,
            waiting_for=None,
        )
        if former.claim_token is not None:
            self.end(self.job, Abandoned(worker=former.claimed_by), now)
        return self.job if self.job.claim_token else None

    def owned(self, job: Job) -> bool:
        """Tell whether the claim under which a job was read still holds."""
        return (
            job.claim_token is not None
            and self.job.claim_token == job.claim_token
            and self.job.status is JobStatus.PROCESSING
        )

    def stamp_init(self, job: Job, now: datetime) -> Job | None:
        """Write that an init goes out."""
        due_at, sent_at = self.due_at, self.job.init_sent_at
        in_time = due_at is not None and due_at > now
        if not (self.owned(job) and in_time and sent_at == job.init_sent_at):
            return None
        token = f"link-{len(self.links)}"
        self.links[token] = self.link_type()
        return self._write(
            init_sent_at=now,
            media_token=token if self._gateway else None,
            publish_id=None,
            publish_started_at=None,
        )

    def clear_init(self, job: Job) -> Job | None:
        """Write that the init was not taken."""
        return self._write(init_sent_at=None) if self.owned(job) else None

    def save_publish_id(self, job: Job, publish_id: str, now: datetime) -> Job | None:
        """Write TikTok's id."""
        if not self.owned(job):
            return None
        return self._write(publish_id=publish_id, publish_started_at=now)

    def end(self, job: Job, outcome: Outcome, now: datetime) -> None:
        """Write what an attempt came to, if its claim holds."""
        if not self.owned(job):
            return
        change = decide(job, outcome, now=now, policy=self._policy, random=lambda: 0.5)
        if change.entry is not None:
            self.ledger.append(change.entry)
        self.job = applied(self.job, change)

    def _write(self, **columns: object) -> Job:
        self.job = replace(self.job, **columns)
        return self.job
