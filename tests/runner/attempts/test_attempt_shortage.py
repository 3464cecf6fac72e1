"""A shortage of our own costs a post no attempt."""

import pytest
from msgspec.structs import replace

from app.domain.codes import OUT_OF_RESOURCES
from app.domain.jobs.job import WaitingFor
from app.domain.jobs.outcome import Outcome, PutOff, Transient, Verdict
from app.machine.shortage import AGAIN_AFTER
from tests.domain.jobs.sample import NOW
from tests.runner.scripted import (
    NEW,
    POLL,
    PROCESSING,
    RESUMED,
    SENT,
    after,
    fault,
    run,
)

LACKING = fault(OUT_OF_RESOURCES, verdict=Verdict.NOT_SENT)


def assert_put_off(outcome: Outcome, seconds: float) -> None:
    """Look at when it is tried again."""
    until = after(seconds) + AGAIN_AFTER
    assert outcome == PutOff(until=until, waiting_for=WaitingFor.RESOURCES)


@pytest.mark.parametrize("step", ["access", "creator_info", "init"])
async def test_before_and_at_the_init_the_job_is_put_off(step: str) -> None:
    """Nothing was sent, so nothing counts, and no stamp is left behind."""
    outcome, world = await run(NEW, **{step: [LACKING]})
    assert_put_off(outcome, 0)
    assert world.row.init_sent_at is None
    assert step in world.names
    if step == "init":
        assert world.names[-2:] == ["init", "clear_init"]


async def test_a_publish_is_asked_about_until_the_deadline() -> None:
    """A status call that could not be made ends nothing; only the last one counts."""
    outcome, world = await run(NEW, status=[LACKING])
    assert_put_off(outcome, 90)
    assert world.names[: len(SENT)] == SENT
    assert world.row.publish_id == "pub-1"


async def test_a_publish_that_tiktok_works_on_is_no_shortage() -> None:
    """A shortage is forgotten with the next answer."""
    outcome, _ = await run(NEW, status=[LACKING, PROCESSING])
    assert not isinstance(outcome, PutOff)


async def test_a_resumed_publish_stays_in_flight() -> None:
    """It is resumed once more, with the same id."""
    row = replace(RESUMED, attempt_started_at=NOW)
    outcome, world = await run(row, access=[LACKING])
    assert_put_off(outcome, 0)
    assert world.row == row
    assert POLL[1] not in world.names


async def test_other_faults_that_were_not_sent_count() -> None:
    """A host that refuses is no shortage of ours."""
    refused = fault("connect_failed", verdict=Verdict.NOT_SENT)
    outcome, _ = await run(NEW, init=[refused])
    assert outcome == Transient(fault=refused)
