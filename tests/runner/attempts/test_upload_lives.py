"""Thousands of random lives of one upload: dying workers, cut chunks, zombies.

The rules are those of the lives of a pull; and none of these ends unconfirmed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from random import Random

import pytest
from msgspec.structs import replace

from app.domain.jobs.job import Job, JobStatus
from app.domain.jobs.outcome import Outcome
from app.domain.posts.upload import ChunkSizes, Upload
from app.runner.attempts.ways.sending import Sending
from app.runner.attempts.ways.upload_faults import fault_of_chunk
from app.runner.attempts.ways.way import Void
from app.tiktok.upload_answers import ChunkVerdict, UploadAnswer
from tests.runner.attempts.test_simulation import LIVES, SEED, posts_twice
from tests.runner.fates import Event, Planned, Thrown
from tests.runner.uploads import IN_ONE, IN_THREE, UploadLife, UploadRow

ENOUGH_TO_SHOW = 20_000


class Unmarked(UploadRow):
    """A row without the mark: nobody wrote ahead that the last chunk goes out."""

    def save(
        self, job: Job, upload: Upload, now: datetime, *, marks: bool
    ) -> Job | None:
        """Write the upload without the mark of its only chunk."""
        saved = super().save(job, upload, now, marks=marks)
        self.job = replace(self.job, init_sent_at=job.init_sent_at)
        return saved

    def mark(self, job: Job, uploaded: int, now: datetime) -> Job | None:
        """Mark in memory alone."""
        marked = super().mark(job, uploaded, now)
        self.job = replace(self.job, init_sent_at=job.init_sent_at)
        return marked


class Unfenced(UploadRow):
    """A row whose writers are not asked for their claim."""

    def owned(self, job: Job) -> bool:
        """Let anybody write."""
        return True


def life(seed: int, **changed: object) -> UploadLife:
    """Make the life that a seed stands for."""
    return UploadLife(
        Thrown(Random(seed), mischief=12),
        max_attempts=1 + seed % 4,
        **{  # type: ignore[arg-type]
            "row_type": UploadRow,
            "sizes": IN_ONE if seed % 3 == 0 else IN_THREE,
            **changed,
        },
    )


@pytest.mark.timeout(60 + LIVES / 50)
def test_no_upload_is_posted_twice_lost_or_unconfirmed() -> None:
    """Over all of them TikTok never gets the last byte of two that may be posted."""
    for seed in range(SEED * 10**9, SEED * 10**9 + LIVES):
        try:
            life(seed).live()
        except AssertionError as error:
            error.add_note(f"in the life of seed {seed}")
            raise


@pytest.mark.timeout(300)
@pytest.mark.parametrize("sizes", [IN_THREE, IN_ONE], ids=["three chunks", "one"])
@pytest.mark.parametrize("row_type", [Unmarked, Unfenced], ids=["mark", "fence"])
def test_the_lives_of_uploads_are_wild_enough(
    row_type: type[UploadRow], sizes: ChunkSizes
) -> None:
    """The same lives post twice without one of these."""
    assert any(
        posts_twice(life(seed, row_type=row_type, sizes=sizes))
        for seed in range(ENOUGH_TO_SHOW)
    )


@dataclass
class NewestFirst(Planned):
    """One plan, in which who stood still wakes up only when the others are done."""

    def index(self, count: int) -> int:
        """Let the newest go first."""
        return count - 1


PUTS = {
    "well": (),
    "over for the second": ("ok", "ok", "ok", "over"),
    "lost": ("ok", "ok", "lost"),
    "over for the first": ("ok", "ok", "over"),
    "cut": ("cut", "ok", "cut", "ok", "cut"),
}


def planned(
    event: Event, puts: str, *, newest: bool, sizes: ChunkSizes = IN_THREE
) -> Iterator[UploadLife]:
    """Yield a life for every step at which an event can happen."""
    answers = PUTS[puts] if sizes is IN_THREE else PUTS[puts][2:]
    for at in range(400):
        kind = NewestFirst if newest else Planned
        fate = kind(answers={"put": answers}, at=at, what=event)
        yield UploadLife(fate, max_attempts=9, row_type=UploadRow, sizes=sizes)
        if fate.steps <= at:
            return
    raise AssertionError("longer than any life")


@pytest.mark.parametrize("sizes", [IN_THREE, IN_ONE], ids=["three chunks", "one"])
@pytest.mark.parametrize("newest", [True, False], ids=["wakes late", "wakes first"])
@pytest.mark.parametrize("puts", PUTS)
@pytest.mark.parametrize("event", Event)
def test_one_thing_that_happens_at_any_step_costs_no_post(
    event: Event, puts: str, newest: bool, sizes: ChunkSizes
) -> None:
    """At every chunk boundary, before, in and after the last one: posted once."""
    for life in planned(event, puts, newest=newest, sizes=sizes):
        life.live()
        assert life.row.job.status is JobStatus.POSTED, life.row.ledger
        assert len(life.uploads.possible_posts(life.now)) == 1


@pytest.mark.timeout(300)
@pytest.mark.parametrize("sizes", [IN_THREE, IN_ONE], ids=["three chunks", "one"])
def test_a_url_that_seems_over_is_no_proof_of_anothers_chunk(
    monkeypatch: pytest.MonkeyPatch, sizes: ChunkSizes
) -> None:
    """Without the hold, a worker that stalls in its last chunk posts a second time."""

    async def hasty(
        self: Sending, verdict: ChunkVerdict, answer: UploadAnswer
    ) -> Void | Outcome | None:
        return Void(fault_of_chunk(answer))

    monkeypatch.setattr(Sending, "_turned_away", hasty)
    lives = planned(Event.FREEZE, "over for the second", newest=True, sizes=sizes)
    assert any(map(posts_twice, lives))
