"""Jobs that wait for their turn and accounts that rest are counted."""

from datetime import timedelta

from app.domain.jobs.job import WaitingFor
from app.metrics import Metrics
from app.pacing.pacer import Pacer
from app.store.accounts.quotas import QuotaStore
from app.store.db.engine import Database
from tests.pacing.pacers import INIT, LIMITS, HandClock, postponed, user
from tests.support.factories import NOW


async def test_waits_and_rests_are_counted(database: Database) -> None:
    """A wait by its call and its reason; a call that got its turn is none."""
    metrics = Metrics()
    pacer = Pacer(
        QuotaStore(database), HandClock(), LIMITS | {INIT: 1}, metrics=metrics
    )
    assert await postponed(pacer, user(), INIT) is None
    assert await postponed(pacer, user(), INIT) is not None
    until = NOW + timedelta(hours=1)
    await pacer.rest(user(), until=until, reason=WaitingFor.ACCOUNT_CAP)
    assert await postponed(pacer, user(), INIT) is not None

    def figure(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(name, labels)

    waits = "scheduler_quota_waits_total"
    assert figure(waits, call="init", waiting_for="quota") == 1
    assert figure(waits, call="init", waiting_for="account_cap") == 1
    assert figure("scheduler_rests_total", reason="account_cap") == 1
