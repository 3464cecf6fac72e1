"""What is counted, and under which name."""

import re
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from app.domain.jobs.job import JobStatus, WaitingFor
from app.domain.jobs.outcome import (
    InInbox,
    Outcome,
    Published,
    PutOff,
    Transient,
    Unconfirmed,
)
from app.metrics import Metrics
from app.metrics.tiktok import code_label
from app.store.jobs.claims import Claimed, TakenOver
from app.tiktok.wire import Endpoint
from tests.domain.jobs.sample import A_FAULT, NOW, a_job, applied, decided
from tests.support.repository import ROOT, source_files

PUBLISHED = Published(publish_id="pub-1")


def sample(metrics: Metrics, name: str, **labels: str) -> float | None:
    """Read one figure."""
    return metrics.registry.get_sample_value(name, labels)


def ended(metrics: Metrics, outcome: Outcome, **columns: object) -> None:
    """Let a job's attempt come to something."""
    job = a_job(**columns)
    change = decided(job, outcome)
    metrics.end(applied(job, change), change)


def lateness(metrics: Metrics, which: str = "posted") -> tuple[float | None, ...]:
    """Read how many posts there were and how late they were together."""
    name = f"scheduler_{which}_lateness_seconds"
    return sample(metrics, f"{name}_count"), sample(metrics, f"{name}_sum")


def test_a_posted_job_tells_how_late_it_was() -> None:
    """From its time to TikTok taking it, and to TikTok having posted it."""
    metrics = Metrics()
    ended(
        metrics,
        PUBLISHED,
        scheduled_for=NOW - timedelta(seconds=20),
        publish_started_at=NOW - timedelta(seconds=5),
    )
    assert lateness(metrics, "posted") == (1, 20)
    assert lateness(metrics, "init") == (1, 15)


def test_a_time_that_was_past_when_it_was_chosen_is_no_lateness() -> None:
    """Such a job is due from its creation on."""
    metrics = Metrics()
    ended(
        metrics,
        PUBLISHED,
        scheduled_for=NOW - timedelta(days=900),
        created_at=NOW - timedelta(seconds=3),
    )
    assert lateness(metrics) == (1, 3)


def test_what_a_person_started_again_is_not_late() -> None:
    """Its time was past by then: two attempts failed, yet none counts any more."""
    metrics = Metrics()
    ended(metrics, PUBLISHED, attempts=0, attempt_number=2)
    ended(metrics, PUBLISHED, attempts=2, attempt_number=2)
    assert lateness(metrics) == (1, 1)


def test_a_failed_attempt_is_counted_and_not_taken_for_a_late_post() -> None:
    """Lateness is of posts that went out."""
    metrics = Metrics()
    ended(metrics, Transient(fault=replace(A_FAULT, code="internal_error")))
    attempt = {"outcome": "transient", "decision": "retrying"}
    failure = {"error_class": "transient", "code": "internal_error"}
    assert sample(metrics, "scheduler_attempts_total", **attempt) == 1
    assert sample(metrics, "scheduler_attempt_failures_total", **failure) == 1
    assert lateness(metrics) == (0, 0)


@pytest.mark.parametrize(
    ("outcome", "columns", "status", "reason"),
    [
        (PUBLISHED, {}, "posted", "published"),
        (InInbox(publish_id="pub-1"), {}, "posted", "inbox"),
        (Transient(fault=A_FAULT), {"attempts": 4}, "failed", "max_attempts"),
        (Unconfirmed(fault=A_FAULT), {"init_sent_at": NOW}, "failed", "unconfirmed"),
    ],
)
def test_ends_are_counted_by_delivery_or_reason(
    outcome: Outcome, columns: dict[str, object], status: str, reason: str
) -> None:
    """Each end once, and under nothing else."""
    metrics = Metrics()
    ended(metrics, outcome, **columns)
    name, labels = "scheduler_jobs_ended_total", {"status": status, "reason": reason}
    assert sample(metrics, name, **labels) == 1
    assert total(metrics, "scheduler_jobs_ended") == 1


def test_being_put_off_is_no_attempt_and_no_end() -> None:
    """It is counted where it is decided: by the quota."""
    metrics = Metrics()
    ended(metrics, PutOff(until=NOW, waiting_for=WaitingFor.QUOTA))
    assert total(metrics, "scheduler_attempts", "scheduler_jobs_ended") == 0


def test_claims_are_counted_with_those_that_workers_left_behind() -> None:
    """An abandoned claim is a worker that died; the job may end with it."""
    metrics = Metrics()
    job = a_job(init_sent_at=NOW, status=JobStatus.PROCESSING)
    over = decided(job, Unconfirmed(fault=A_FAULT))
    taken_over = TakenOver(job, worker="dead", change=over)
    metrics.claim(Claimed(jobs=(a_job(),), taken_over=(taken_over,)))
    assert sample(metrics, "scheduler_claims_total") == 2
    assert sample(metrics, "scheduler_claims_abandoned_total") == 1
    reason = {"status": "failed", "reason": "unconfirmed"}
    assert sample(metrics, "scheduler_jobs_ended_total", **reason) == 1
    assert prevented(metrics, "withheld_init") == 1


def test_calls_are_counted_by_endpoint_and_code() -> None:
    """A code that nobody knows could be anything, and there could be many."""
    metrics = Metrics()
    metrics.tiktok.call(Endpoint.INIT, None, 0.5)
    for code in ("timeout", "made_up_1", "made_up_2"):
        metrics.tiktok.call(Endpoint.INIT, replace(A_FAULT, code=code), 10)
    calls = "scheduler_tiktok_calls_total"
    found = [
        sample(metrics, calls, endpoint="init", code=code)
        for code in ("ok", "timeout", "other")
    ]
    assert found == [1, 1, 2]
    seconds = "scheduler_tiktok_call_seconds"
    assert sample(metrics, f"{seconds}_sum", endpoint="init") == 30.5


@pytest.mark.parametrize(
    ("code", "result"),
    [(None, "ok"), ("invalid_grant", "refused"), ("invalid_client", "failed")],
)
def test_refreshes_are_told_apart_by_who_has_to_act(
    code: str | None, result: str
) -> None:
    """A person whose account is lost, or whoever runs the service."""
    metrics = Metrics()
    fault = None if code is None else replace(A_FAULT, code=code)
    metrics.tiktok.call(Endpoint.REFRESH, fault, 0.1)
    name = "scheduler_token_refreshes_total"
    assert sample(metrics, name, result=result) == 1
    assert total(metrics, "scheduler_token_refreshes") == 1


def test_every_code_that_the_service_gives_by_itself_can_be_a_label() -> None:
    """Or the very faults that tell of our own trouble would all be `other`."""
    given = set(codes_in(source_files(ROOT / "app", suffix=".py")))
    assert {"timeout", "gateway_error", "claim_abandoned"} <= given
    assert {code for code in given if code_label(code) == "other"} == set()


def codes_in(files: Iterable[Path]) -> Iterable[str]:
    """Find the codes of faults in the code that makes them."""
    for path in files:
        if {"tiktok", "grants", "runner", "domain"} & set(path.parts):
            text = path.read_text()
            faults = re.findall(r"Fault\([^()]*?code=\"(\w+)\"", text)
            yield from faults
            yield from re.findall(r'return "(\w+)", "', text)


def total(metrics: Metrics, *families: str) -> float:
    """Add up everything that was counted under these names."""
    return sum(
        each.value
        for family in metrics.registry.collect()
        if family.name in families
        for each in family.samples
    )


def prevented(metrics: Metrics, mechanism: str) -> float | None:
    """Read how often something kept a duplicate from happening."""
    name = "scheduler_duplicates_prevented_total"
    return sample(metrics, name, mechanism=mechanism)
