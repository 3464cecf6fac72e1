"""Claiming as the runner does it: abandoned jobs go through the real decision."""

from datetime import datetime

from app.domain.jobs.backoff import RetryPolicy, UnconfirmedInit
from app.domain.jobs.job import Job
from app.domain.jobs.lifecycle import decide
from app.domain.jobs.outcome import Outcome
from app.domain.jobs.transition import Transition
from app.store.db.postgres.identity import Identity
from app.store.jobs.claims import Claimed, ClaimStore
from tests.support.factories import NOW

HOLD = RetryPolicy(unconfirmed=UnconfirmedInit.HOLD)
RETRY = RetryPolicy(unconfirmed=UnconfirmedInit.RETRY)


async def claim(
    claims: ClaimStore,
    *,
    now: datetime = NOW,
    limit: int = 100,
    worker: str = "worker_1",
    due_by: datetime | None = None,
    policy: RetryPolicy = HOLD,
    server: Identity | None = None,
) -> Claimed:
    """Claim what is due."""
    return await claims.claim_due(
        now=now,
        limit=limit,
        worker=worker,
        due_by=due_by,
        server=server,
        retry=policy,
        random=lambda: 0.0,
    )


async def claim_one(claims: ClaimStore, *, now: datetime = NOW) -> Job:
    """Claim the one job that is due."""
    (job,) = (await claim(claims, now=now)).jobs
    return job


def decided(job: Job, outcome: Outcome, *, now: datetime = NOW) -> Transition:
    """Decide on an attempt without chance."""
    return decide(job, outcome, now=now, policy=HOLD, random=lambda: 0.0)
