"""The simulation of TikTok's own size (bench/scale.py)."""

import pytest

from bench.scale import ON_THE_QUARTER, POSTS_PER_SECOND, SECONDS, Costs, simulate

SMALL = 0.01
COSTS = Costs(
    post=0.0006,
    creation=0.0003,
    refresh=0.0006,
    post_wal=9000,
    creation_wal=4000,
    refresh_wal=3000,
    job_bytes=1800,
    index_bytes=900,
    account_bytes=1500,
    indexes=9,
    dead_rows=4,
)


def test_the_same_seed_gives_the_same_run() -> None:
    """Nothing depends on a clock or on the order of a set."""
    assert simulate(COSTS, 2, seed=1, scale=SMALL) == simulate(
        COSTS, 2, seed=1, scale=SMALL
    )
    assert simulate(COSTS, 2, seed=1, scale=SMALL) != simulate(
        COSTS, 2, seed=2, scale=SMALL
    )


def test_every_post_is_sent_and_none_before_it_is_due() -> None:
    """However busy a database is, what waits is served at last."""
    ran = simulate(COSTS, 1, seed=1, scale=SMALL)
    even = POSTS_PER_SECOND * (1 - ON_THE_QUARTER) * SECONDS
    at_once = ON_THE_QUARTER * POSTS_PER_SECOND * 900
    assert len(ran.late) == pytest.approx((even + at_once) * SMALL, abs=1)
    assert min(ran.late) > 0


def test_more_databases_are_sooner_done() -> None:
    """Each has its share of the accounts, and more of its pages in memory."""
    runs = [simulate(COSTS, each, seed=1, scale=SMALL) for each in (1, 2, 4, 8)]
    last = [ran.within(0.99, ran.late) for ran in runs]
    assert last == sorted(last, reverse=True)
    assert runs[-1].cores < runs[0].cores / 4
