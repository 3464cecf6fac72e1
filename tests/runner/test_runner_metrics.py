"""What a runner counts while it works, and what its log lines are named after."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import structlog
from structlog.testing import LogCapture

from app.metrics import Metrics
from app.sandbox.recording import Call
from tests.runner.stage import Stage, Worker
from tests.support.logs import restored

LEASE = timedelta(seconds=300)
NAME = "scheduler_duplicates_prevented_total"


def counted(metrics: Metrics, name: str, **labels: str) -> float | None:
    """Read one figure."""
    return metrics.registry.get_sample_value(name, labels)


def of(worker: Worker) -> Metrics:
    """Give what the worker's runner counts into."""
    return worker.runner._metrics


async def test_running_attempts_are_seen_while_they_run(
    stage: Stage, worker: Worker
) -> None:
    """One gauge, asked whenever somebody wants to know."""
    name, seen = "scheduler_attempts_running", []
    await stage.job(worker)

    async def look() -> None:
        seen.append(counted(of(worker), name))

    worker.claims.before["stamp_init"] = look
    await worker.tick()
    assert seen == [1]
    assert counted(of(worker), name) == 0


async def test_calls_to_tiktok_are_counted(stage: Stage, worker: Worker) -> None:
    """Calls are counted by their result, through the client that all share."""
    stage.fault("creator_info", "error", code="internal_error", http_status=500)
    await stage.job(worker)
    await worker.tick()
    calls = "scheduler_tiktok_calls_total"
    counts = {
        (endpoint, code): counted(
            worker.container.metrics, calls, endpoint=endpoint, code=code
        )
        for endpoint, code in (("creator_info", "internal_error"), ("init", "ok"))
    }
    assert counts == {("creator_info", "internal_error"): 1, ("init", "ok"): 0}
    failure = {"error_class": "transient", "code": "internal_error"}
    assert counted(of(worker), "scheduler_attempt_failures_total", **failure) == 1


async def test_a_publish_that_is_resumed_is_a_duplicate_prevented(
    stage: Stage, worker: Worker
) -> None:
    """The next tick asks for the id that the last one wrote, and sends nothing."""
    job = await stage.job(worker)
    stage.stuck(job)
    await stage.ticked(worker, lambda: stage.calls(Call.STATUS))
    assert counted(of(worker), NAME, mechanism="resumed_publish") == 0
    stage.unstick(job)
    await worker.tick()
    assert counted(of(worker), NAME, mechanism="resumed_publish") == 1


async def test_an_init_that_is_withheld_is_a_duplicate_prevented(
    stage: Stage, worker: Worker
) -> None:
    """Its answer was lost, so no other one is sent."""
    stage.fault("init", "reset", taken=True)
    await stage.job(worker)
    await worker.tick()
    assert counted(of(worker), NAME, mechanism="withheld_init") == 1


async def test_a_worker_that_lost_its_claim_is_a_duplicate_prevented(
    stage: Stage, worker: Worker
) -> None:
    """It stood still, and another one posted its job."""
    zombie = await stage.worker()
    await stage.job(worker)

    async def stand_still() -> None:
        stage.clock.go_on(LEASE + timedelta(seconds=1))
        assert (await worker.tick()).posted == 1

    zombie.claims.before["stamp_init"] = stand_still
    await zombie.tick(budget=400)
    assert counted(of(zombie), NAME, mechanism="lost_claim") == 1
    assert counted(of(worker), NAME, mechanism="lost_claim") == 0


async def test_each_line_of_an_attempt_is_named_after_it(
    stage: Stage, worker: Worker, captured: LogCapture
) -> None:
    """Job, project and the attempt's number in the ledger; then what it came to."""
    job = await stage.job(worker)
    stage.fault("init", "error", code="internal_error", http_status=500)
    await worker.tick()
    (over,) = (it for it in captured.entries if it["event"] == "attempt over")
    assert (over["job_id"], over["project_id"]) == (job.id, job.project_id)
    assert (over["attempt"], over["outcome"]) == (1, "Transient")
    assert (over["status"], over["code"]) == ("retrying", "internal_error")


@pytest.fixture
def captured() -> Iterator[LogCapture]:
    """Collect what is logged, with the names bound to the context."""
    capture, merge = LogCapture(), structlog.contextvars.merge_contextvars
    with restored():
        structlog.configure(processors=[merge, capture])
        yield capture
