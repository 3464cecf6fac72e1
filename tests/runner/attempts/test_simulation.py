r"""Thousands of random lives of one job: dying workers, lost answers, zombies.

    SIMULATED_LIVES=1000000 SIMULATION_SEED=7 \
        pytest tests/runner/attempts/test_simulation.py

lives longer; a failure names the seed of the one life that went wrong.
"""

import os
from datetime import datetime
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from app.domain.jobs.backoff import RetryPolicy, UnconfirmedInit
from app.domain.jobs.job import Job
from tests.runner.fates import Thrown
from tests.runner.imagined import Link, Row, SecondPost
from tests.runner.lives import Life

LIVES = int(os.environ.get("SIMULATED_LIVES", "10000"))
SEED = int(os.environ.get("SIMULATION_SEED", "1"))
ENOUGH_TO_SHOW = 5000

RISKY = RetryPolicy(unconfirmed=UnconfirmedInit.RETRY)


class Unstamped(Row):
    """A row without the stamp: nobody wrote ahead that an init goes out."""

    def stamp_init(self, job: Job, now: datetime) -> Job | None:
        """Stamp in memory alone."""
        stamped = super().stamp_init(job, now)
        self.job = replace(self.job, init_sent_at=job.init_sent_at)
        return stamped


class Unfenced(Row):
    """A row whose writers are not asked for their claim."""

    def owned(self, job: Job) -> bool:
        """Let anybody write."""
        return True


class Forgetful(Link):
    """A pull URL that goes on giving the video out after it was withdrawn."""

    def revoke(self, now: datetime) -> bool:
        """Say yes, and do nothing."""
        return True


class Leaky(Row):
    """A row whose media gateway forgets what was withdrawn."""

    link_type = Forgetful


def life(seed: int, **changed: object) -> Life:
    """Make the life that a seed stands for."""
    return Life(
        Thrown(Random(seed)),
        max_attempts=1 + seed % 4,
        gateway=seed % 3 == 0,
        **changed,  # type: ignore[arg-type]
    )


@pytest.mark.timeout(600 + LIVES / 200)
def test_no_life_posts_twice_or_has_no_end() -> None:
    """Over all of them TikTok never takes a second init that could become a post."""
    for seed in range(SEED * 10**9, SEED * 10**9 + LIVES):
        try:
            life(seed).live()
        except AssertionError as error:
            error.add_note(f"in the life of seed {seed}")
            raise


@pytest.mark.parametrize(
    "without",
    [
        {"policy": RISKY},
        {"row_type": Unstamped},
        {"row_type": Unfenced},
        {"row_type": Leaky},
    ],
    ids=["doubt", "stamp", "fence", "revocation"],
)
def test_the_lives_are_wild_enough(without: dict[str, object]) -> None:
    """The same lives post twice without one of these."""
    assert any(posts_twice(life(seed, **without)) for seed in range(ENOUGH_TO_SHOW))


def posts_twice(life: Life) -> bool:
    """Tell whether TikTok met a second post, whatever else went wrong."""
    try:
        life.live()
    except SecondPost:
        return True
    except AssertionError:  # without a fence the ledger suffers first
        return False
    return False


@given(
    chance=st.randoms(use_true_random=False),
    max_attempts=st.integers(1, 4),
    mischief=st.integers(0, 30),
    gateway=st.booleans(),
)
@settings(max_examples=200, derandomize=True, database=None)
def test_no_life_that_can_be_thought_of_posts_twice(
    chance: Random, max_attempts: int, mischief: int, gateway: bool
) -> None:
    """The same, with lives that shrink to the shortest that goes wrong."""
    fate = Thrown(chance, mischief)
    Life(fate, max_attempts=max_attempts, gateway=gateway).live()
