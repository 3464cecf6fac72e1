"""Rows in which a worker's clock is set while it works, and the worker notices."""

from collections.abc import Iterator
from typing import Final

from chaos import acts
from chaos.cells import POSTED, Database, Row
from chaos.gate import Moment, Stop
from chaos.place import Place
from chaos.together import UNHURRIED
from chaos.workers import Worker

HOUR: Final = 3600.0
GROUP: Final = "the clock is set"
DOUBTS: Final = {"doubts": 1.0}
"""Let a worker compare its clock with others, as programs do in earnest."""

IN_FLIGHT: Final = (Stop("init", Moment.AFTER), Stop("record"))
ELSEWHERE: Final = (Stop("creator_info"), Stop("save_id"), Stop("wait"))
"""Where the time for polling may be over by the new clock: an attempt, and no harm."""


def rows() -> Iterator[Row]:
    """Return every row in which a clock is set."""
    for seconds, words in ((HOUR, "an hour forth"), (-HOUR, "an hour back")):
        for stop in IN_FLIGHT:
            # What TikTok answered is kept: no attempt is lost by the clock.
            yield _row(words, stop, seconds, attempts=0)
        for stop in ELSEWHERE:
            yield _row(words, stop, seconds)


def _row(words: str, stop: Stop, seconds: float, attempts: int | None = None) -> Row:
    return Row(
        group=GROUP,
        cause=f"{words}: {stop}",
        script=acts.struck(stop, _set(seconds), **DOUBTS),
        ends=(POSTED,),
        ends_with_gateway=(POSTED,),
        attempts=attempts,
        settings=UNHURRIED,
    )


def _set(seconds: float) -> acts.Act:
    async def act(place: Place, worker: Worker) -> None:
        worker.go(f"clock {seconds}")
        if place.cell.database is Database.POSTGRES:
            # Its own clock contradicts the server's: another one has to take over.
            await place.worker(**DOUBTS)

    return act
