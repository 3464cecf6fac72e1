"""Rows in which somebody else is connected while a post is on its way."""

from collections.abc import Iterator
from typing import Final

from chaos import acts
from chaos.cells import (
    AUTH,
    IN_DOUBT_NOT_POSTED,
    IN_DOUBT_POSTED,
    POSTED,
    Database,
    End,
    Fault,
    Row,
)
from chaos.gate import Moment, Stop
from chaos.place import Place
from chaos.workers import Worker

BEFORE, AFTER = Moment.BEFORE, Moment.AFTER
GROUP: Final = "reconnected as another person"

OPEN: Final = End("auth", 1)
"""TikTok has it, and only its own person's token may ask."""

LONGER: Final = {
    "claim_timeout_seconds": 25,
    "poll_deadline_seconds": 22,
    "http_timeout_seconds": 10,
}
"""A stamp is refused once its lease is over, which is another row's matter."""

UNHURRIED: Final = {
    "claim_timeout_seconds": 90,
    "poll_deadline_seconds": 60,
    "http_timeout_seconds": 20,
}
"""A worker that goes on must not have lost its claim meanwhile."""

Ends = tuple[End, End, End]  # the worker goes on; is killed; killed, with the gateway

# A worker that has a token may finish with it. Nobody else sends what is not sent yet.
AT_STEPS: Final[tuple[tuple[Stop, Ends], ...]] = (
    (Stop("claim", BEFORE), (AUTH, AUTH, AUTH)),
    (Stop("claim", AFTER), (AUTH, AUTH, AUTH)),
    (Stop("access", BEFORE), (AUTH, AUTH, AUTH)),
    (Stop("access", AFTER), (POSTED, AUTH, AUTH)),
    (Stop("creator_info", BEFORE), (POSTED, AUTH, AUTH)),
    (Stop("creator_info", AFTER), (POSTED, AUTH, AUTH)),
    (Stop("stamp", BEFORE), (POSTED, AUTH, AUTH)),
    (Stop("stamp", AFTER), (POSTED, IN_DOUBT_NOT_POSTED, AUTH)),
    (Stop("init", BEFORE), (POSTED, IN_DOUBT_NOT_POSTED, AUTH)),
    (Stop("init", AFTER), (POSTED, IN_DOUBT_POSTED, IN_DOUBT_POSTED)),
    (Stop("save_id", BEFORE), (POSTED, IN_DOUBT_POSTED, IN_DOUBT_POSTED)),
    (Stop("save_id", AFTER), (POSTED, OPEN, OPEN)),
    (Stop("wait", AFTER), (POSTED, OPEN, OPEN)),
    (Stop("status", BEFORE), (POSTED, OPEN, OPEN)),
    (Stop("status", AFTER), (POSTED, OPEN, OPEN)),
    (Stop("record", BEFORE), (POSTED, OPEN, OPEN)),
    (Stop("record", AFTER), (POSTED, POSTED, POSTED)),
)

WHILE_REFRESHING: Final = (
    (Stop("renew", BEFORE), AUTH),
    (Stop("refresh", BEFORE), AUTH),
    (Stop("refresh", AFTER), AUTH),
    (Stop("save_pair", BEFORE), AUTH),
    (Stop("save_pair", AFTER), POSTED),
    (Stop("renew", AFTER), POSTED),
)

REFUSED_AT: Final = (("creator_info", AUTH), ("init", AUTH), ("status", OPEN))


def rows() -> Iterator[Row]:
    """Return every row in which another person is connected."""
    for stop, (goes_on, killed, with_gateway) in AT_STEPS:
        yield _goes_on(str(stop), stop, goes_on)
        yield Row(
            group=GROUP,
            cause=f"{stop}, then SIGKILL",
            script=acts.struck(stop, _killed_and_swapped),
            ends=(killed,),
            ends_with_gateway=(with_gateway,),
            settings=LONGER,
        )
    for stop, end in WHILE_REFRESHING:
        yield _goes_on(f"{stop}, token stale", stop, end, _dies_at("creator_info"))
    for call, end in REFUSED_AT:
        stop = Stop(call, BEFORE)
        yield _goes_on(f"{stop}, which refuses the token", stop, end, _dies_at(call))


def _goes_on(cause: str, stop: Stop, end: End, *faults: Fault) -> Row:
    return Row(
        group=GROUP,
        cause=cause,
        script=acts.struck(stop, _swapped),
        ends=(end,),
        faults=faults,
        # A process that halts may hold SQLite's one lock, and then nobody can connect.
        databases=(Database.POSTGRES,),
        settings=UNHURRIED,
    )


def _dies_at(call: str) -> Fault:
    return {"call": call, "fault": {"kind": "token_death"}}


async def _swapped(place: Place, worker: Worker) -> None:
    """Connect somebody else, and let the worker continue."""
    await place.connect(place.other)
    worker.go()


async def _killed_and_swapped(place: Place, worker: Worker) -> None:
    """Connect somebody else before another worker takes over the killed one's job."""
    await worker.kill()
    await place.connect(place.other)
    await place.worker()
