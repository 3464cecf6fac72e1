"""A worker remembers the inits of the last quarter of an hour, and no more."""

from datetime import timedelta

from msgspec.structs import replace

from app.domain.jobs.job import Job
from app.domain.jobs.witness import KEPT, Witness
from tests.domain.jobs.sample import NOW, a_job


def sent(number: int, *, at: timedelta = timedelta(0)) -> Job:
    """Make a job whose init went out."""
    job = a_job()
    return replace(
        job,
        id=f"job_{number}",
        claim_token="token",
        init_sent_at=NOW + at,
        updated_at=NOW + at,
    )


def remembered(witness: Witness) -> list[str]:
    """Name what is remembered."""
    return [each.job.id for each in witness.told()]


def test_what_is_older_than_a_quarter_of_an_hour_is_forgotten() -> None:
    """No replica lags further behind."""
    witness = Witness()
    witness.note(sent(1))
    witness.note(sent(2, at=KEPT))
    assert remembered(witness) == ["job_1", "job_2"]
    witness.note(sent(3, at=KEPT + timedelta(seconds=1)))
    assert remembered(witness) == ["job_2", "job_3"]


def test_the_memory_is_bounded() -> None:
    """The oldest make room."""
    witness = Witness(most=2)
    for number in range(4):
        witness.note(sent(number))
    assert remembered(witness) == ["job_2", "job_3"]


def test_an_init_that_was_not_taken_is_forgotten() -> None:
    """There is nothing to put back."""
    witness = Witness()
    witness.note(sent(1))
    witness.note(replace(sent(1), init_sent_at=None))
    assert not witness.told()


def test_a_claim_without_an_init_is_not_remembered() -> None:
    """If it is lost, it is made again."""
    witness = Witness()
    witness.note(replace(sent(1), init_sent_at=None))
    assert not witness.told()
