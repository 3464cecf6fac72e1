"""Rows in which the database goes away, or the clocks disagree."""

from collections.abc import Iterator
from typing import Any, Final

from chaos import acts
from chaos.cells import (
    IN_DOUBT_NOT_POSTED,
    IN_DOUBT_POSTED,
    POSTED,
    Database,
    Row,
)
from chaos.gate import Moment, Stop
from chaos.place import LEASE, Place
from chaos.workers import Worker

TEN_MINUTES: Final = 600.0

WRITES: Final = (
    Stop("claim", Moment.BEFORE),
    Stop("claim", Moment.UNCOMMITTED),
    Stop("access"),
    Stop("stamp"),
    Stop("init"),
    Stop("save_id"),
    Stop("wait"),
    Stop("record"),
    Stop("record", Moment.UNCOMMITTED),
)
"""Where the next thing that is needed is the database."""

WORD_LOST: Final = (
    Stop("claim", Moment.AFTER),
    Stop("stamp", Moment.AFTER),
    Stop("save_id", Moment.AFTER),
    Stop("record", Moment.AFTER),
)


def rows() -> Iterator[Row]:
    """Return every row of an outage or a wrong clock."""
    yield from _outages()
    yield from _clocks()


def _outages() -> Iterator[Row]:
    for stop in WRITES:
        yield _row(
            "Postgres crashes and comes back",
            stop,
            acts.outage(acts.OUTAGE_SECONDS),
            databases=(Database.POSTGRES,),
            breaks_server=True,
        )
    for stop in (Stop("init"), Stop("save_id"), Stop("wait"), Stop("record")):
        yield _row(
            "Postgres is away for longer than the lease",
            stop,
            acts.outage(LEASE + 1.5),
            databases=(Database.POSTGRES,),
            breaks_server=True,
        )
    for stop in WRITES:
        yield _row(
            "connections are cut",
            stop,
            acts.connections_cut,
            databases=(Database.POSTGRES,),
        )
    for stop in WORD_LOST:
        yield _row("a commit's confirmation is lost", stop, acts.answer_lost)
    for stop in WRITES:
        yield _row(
            "the disk is full for a while",
            stop,
            acts.disk_full,
            databases=(Database.SQLITE,),
            breaks_disk=True,
        )


def _clocks() -> Iterator[Row]:
    jump = acts.clock_jumps(TEN_MINUTES, others=TEN_MINUTES)
    for stop in (Stop("creator_info"), Stop("wait"), Stop("record")):
        yield _row("all clocks jump 10 minutes forward", stop, jump)
    yield _row(
        "all clocks jump 10 minutes forward",
        Stop("stamp"),
        jump,
        # The lease is over when the stamp is written, so nothing is sent. A worker that
        # takes the job over before the stamp is cleared cannot know that.
        ends=(POSTED, IN_DOUBT_NOT_POSTED),
    )
    back = acts.clock_jumps(-TEN_MINUTES, others=0)
    for stop in (Stop("creator_info"), Stop("wait"), Stop("record")):
        yield _row("a worker's clock jumps 10 minutes back", stop, back)
    preflights = acts.overtaken(TEN_MINUTES)
    group = "another worker's clock is 10 minutes ahead"
    for stop in (Stop("creator_info"), Stop("wait"), Stop("record")):
        yield _row(group, stop, preflights)
    yield _row(
        group,
        Stop("stamp"),
        preflights,
        # If the halted one holds SQLite's lock it is overtaken only after its stamp.
        ends=(POSTED, IN_DOUBT_NOT_POSTED),
    )
    yield _row(
        group,
        Stop("init"),
        preflights,
        ends=(IN_DOUBT_POSTED,),
        ends_with_gateway=(POSTED,),
    )
    yield _row(
        group,
        Stop("init", Moment.AFTER),
        preflights,
        ends=(IN_DOUBT_POSTED,),
        ends_with_gateway=(IN_DOUBT_POSTED,),
    )
    for stop in (Stop("wait"), Stop("record")):
        yield _row(
            "killed, and the next worker's clock is 10 minutes behind",
            stop,
            _killed_beside_a_slow_clock,
        )
    yield _row(
        "killed, and the next worker's clock is 10 minutes behind",
        Stop("init"),
        _killed_beside_a_slow_clock,
        ends=(IN_DOUBT_NOT_POSTED,),
        ends_with_gateway=(POSTED,),
    )


async def _killed_beside_a_slow_clock(place: Place, worker: Worker) -> None:
    await worker.kill()
    await place.worker(clock=-TEN_MINUTES)
    await place.worker()


def _row(group: str, stop: Stop, act: acts.Act, **fields: Any) -> Row:  # noqa: ANN401
    fields.setdefault("ends", (POSTED,))
    return Row(group=group, cause=str(stop), script=acts.struck(stop, act), **fields)
