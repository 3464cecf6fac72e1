"""Rows in which a worker dies, stops or freezes at each step of an attempt."""

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
    Script,
)
from chaos.gate import Moment, Stop
from chaos.place import Place

BEFORE, UNCOMMITTED, AFTER = Moment.BEFORE, Moment.UNCOMMITTED, Moment.AFTER

STALE_AT_START: Final[Fault] = {
    "call": "creator_info",
    "fault": {"kind": "token_death"},
}
STALE_AT_INIT: Final[Fault] = {"call": "init", "fault": {"kind": "token_death"}}

TAKES_LONGER: Final[Fault] = {
    "call": "init",
    "fault": {"kind": "processing", "seconds": 1.5},
}

# From the commit of the stamp until the init is sent, TikTok has nothing; from there
# until the commit of its id it has the post, and nobody but TikTok knows which.
UNSENT: Final = ((IN_DOUBT_NOT_POSTED,), (POSTED,))
UNKNOWN: Final = ((IN_DOUBT_POSTED,), (IN_DOUBT_POSTED,))
KNOWN: Final = ((POSTED,), (POSTED,))

Ends = tuple[tuple[End, ...], tuple[End, ...]]

ON_THE_WAY: Final[tuple[tuple[Stop, Ends], ...]] = (
    (Stop("claim", BEFORE), KNOWN),
    (Stop("claim", UNCOMMITTED), KNOWN),
    (Stop("claim", AFTER), KNOWN),
    (Stop("access", BEFORE), KNOWN),
    (Stop("access", AFTER), KNOWN),
    (Stop("permit", BEFORE), KNOWN),
    (Stop("permit", AFTER), KNOWN),
    (Stop("creator_info", BEFORE), KNOWN),
    (Stop("creator_info", AFTER), KNOWN),
    (Stop("permit", BEFORE, 2), KNOWN),
    (Stop("permit", AFTER, 2), KNOWN),
    (Stop("stamp", BEFORE), KNOWN),
    (Stop("stamp", AFTER), UNSENT),
    (Stop("init", BEFORE), UNSENT),
    (Stop("init", AFTER), UNKNOWN),
    (Stop("save_id", BEFORE), UNKNOWN),
    (Stop("save_id", AFTER), KNOWN),
    (Stop("wait", BEFORE), KNOWN),
    (Stop("wait", AFTER), KNOWN),
    (Stop("permit", BEFORE, 3), KNOWN),
    (Stop("permit", AFTER, 3), KNOWN),
    (Stop("status", BEFORE), KNOWN),
    (Stop("status", AFTER), KNOWN),
    (Stop("wait", AFTER, 2), KNOWN),
    (Stop("record", BEFORE), KNOWN),
    (Stop("record", UNCOMMITTED), KNOWN),
    (Stop("record", AFTER), KNOWN),
)

# TikTok ends the old pair as it answers: what was not saved then is lost, and only the
# person can connect again.
REFRESHING: Final[tuple[tuple[Stop, tuple[End, ...]], ...]] = (
    (Stop("renew", BEFORE), (POSTED,)),
    (Stop("refresh", BEFORE), (POSTED,)),
    (Stop("refresh", AFTER), (AUTH,)),
    (Stop("save_pair", BEFORE), (AUTH,)),
    (Stop("save_pair", UNCOMMITTED), (AUTH,)),
    (Stop("save_pair", AFTER), (POSTED,)),
    (Stop("renew", AFTER), (POSTED,)),
)

FROZEN_AT: Final[tuple[tuple[Stop, Ends], ...]] = (
    (Stop("claim", UNCOMMITTED), KNOWN),
    (Stop("creator_info", BEFORE), KNOWN),
    (Stop("stamp", BEFORE), KNOWN),
    (Stop("stamp", AFTER), UNSENT),
    # The init is sent when the worker wakes: the gateway has revoked its URL by then.
    (Stop("init", BEFORE), ((IN_DOUBT_POSTED,), (POSTED,))),
    (Stop("init", AFTER), UNKNOWN),
    (Stop("save_id", AFTER), KNOWN),
    (Stop("wait", AFTER), KNOWN),
    (Stop("status", AFTER), KNOWN),
    (Stop("record", BEFORE), KNOWN),
)

STOPPED_AT: Final = (
    Stop("claim", AFTER),
    Stop("creator_info", BEFORE),
    Stop("stamp", AFTER),
    Stop("init", BEFORE),
    Stop("init", AFTER),
    Stop("save_id", BEFORE),
    Stop("wait", AFTER),
    Stop("status", BEFORE),
    Stop("record", BEFORE),
)


def rows() -> Iterator[Row]:
    """Return every row in which a worker is struck."""
    yield from (_killed(stop, ends) for stop, ends in ON_THE_WAY)
    yield from _killed_in_the_gateways_steps()
    yield from _killed_while_refreshing()
    yield from _killed_in_mid_init()
    yield from _killed_twice()
    yield from (_told_to_stop(stop) for stop in STOPPED_AT)
    yield from (_frozen(stop, ends) for stop, ends in FROZEN_AT)
    yield from map(
        _frozen_with_bad_news, (Stop("stamp", AFTER), Stop("save_id", AFTER))
    )


def _killed(stop: Stop, ends: Ends) -> Row:
    again = stop.step == "wait" and stop.nth > 1
    return Row(
        group="SIGKILL",
        cause=str(stop) + (f", time {stop.nth}" if stop.nth > 1 else ""),
        script=acts.struck(stop, acts.killed),
        # Long enough that there is another poll, however busy the machine is.
        faults=(TAKES_LONGER,) if again else (),
        ends=ends[0],
        ends_with_gateway=ends[1],
    )


def _killed_in_the_gateways_steps() -> Iterator[Row]:
    stop = Stop("stamp", UNCOMMITTED)
    yield Row(
        group="SIGKILL",
        cause=f"{stop}, with its pull URL",
        script=acts.struck(stop, acts.killed),
        ends=(),
        ends_with_gateway=(POSTED,),
    )
    for revoke in (Stop("revoke", BEFORE), Stop("revoke", AFTER)):
        yield Row(
            group="SIGKILL",
            cause=f"before init, the next one {revoke}",
            script=_twice(Stop("init", BEFORE), revoke),
            ends=(),
            ends_with_gateway=(POSTED,),
        )


def _killed_while_refreshing() -> Iterator[Row]:
    for stop, ends in REFRESHING:
        yield Row(
            group="SIGKILL, token stale",
            cause=str(stop),
            script=acts.struck(stop, acts.killed),
            faults=(STALE_AT_START,),
            ends=ends,
        )
    for stop, (without, with_gateway) in (
        (Stop("clear", BEFORE), UNSENT),
        (Stop("clear", AFTER), KNOWN),
        (Stop("init", BEFORE, 2), UNSENT),
    ):
        yield Row(
            group="SIGKILL, token stale at init",
            cause=str(stop) + (" again" if stop.nth > 1 else ""),
            script=acts.struck(stop, acts.killed),
            faults=(STALE_AT_INIT,),
            ends=without,
            ends_with_gateway=with_gateway,
        )


def _killed_in_mid_init() -> Iterator[Row]:
    yield Row(
        group="SIGKILL",
        cause="while TikTok takes the init",
        script=_killed_once_called,
        faults=({"call": "init", "fault": {"kind": "slow", "seconds": 0.5}},),
        ends=(IN_DOUBT_POSTED,),
        ends_with_gateway=(IN_DOUBT_POSTED,),
    )
    yield Row(
        group="SIGKILL",
        cause="while the init is on its way, which TikTok takes after the lease",
        script=_killed_once_called,
        faults=({"call": "init", "fault": {"kind": "slow", "seconds": 8}},),
        ends=(IN_DOUBT_POSTED,),
        # The URL was revoked meanwhile: the late init fails, and another is sent.
        ends_with_gateway=(POSTED,),
        settles_after=9,
    )


def _killed_twice() -> Iterator[Row]:
    for first, second in (
        (Stop("wait", AFTER), Stop("claim", UNCOMMITTED)),
        (Stop("wait", AFTER), Stop("status", AFTER)),
        (Stop("status", AFTER), Stop("record", UNCOMMITTED)),
        (Stop("stamp", BEFORE), Stop("stamp", BEFORE)),
    ):
        yield Row(
            group="SIGKILL",
            cause=f"{first}, the next one {second}",
            script=_twice(first, second),
            ends=(POSTED,),
        )


def _told_to_stop(stop: Stop) -> Row:
    return Row(
        group="SIGTERM",
        cause=str(stop),
        script=acts.struck(stop, acts.told_to_stop),
        ends=(POSTED,),
        attempts=0,
    )


def _frozen(stop: Stop, ends: Ends) -> Row:
    return Row(
        group="SIGSTOP past the lease, then SIGCONT",
        cause=str(stop),
        script=acts.struck(stop, acts.frozen),
        ends=ends[0],
        ends_with_gateway=ends[1],
        settles_after=0.5,
    )


def _frozen_with_bad_news(other: Stop) -> Row:
    """Resume a worker that has a failure to record while another worker posts."""
    return Row(
        group="SIGSTOP past the lease, then SIGCONT",
        cause=f"before record of a failure, another one {other}",
        script=acts.overslept(Stop("record", BEFORE), other),
        faults=(
            {
                "call": "creator_info",
                "fault": {"kind": "error", "code": "internal_error"},
                "times": 1,
            },
        ),
        ends=(POSTED,),
        ends_with_gateway=(POSTED,),
        # A process that is frozen may hold SQLite's one lock, and then nobody posts.
        databases=(Database.POSTGRES,),
    )


def _twice(first: Stop, second: Stop) -> Script:
    async def script(place: Place) -> None:
        for stop in (first, second):
            worker = await place.worker(stop)
            await acts.at_stop(worker, stop)
            await worker.kill()
        await place.worker()

    return script


async def _killed_once_called(place: Place) -> None:
    worker = await place.worker()
    await place.called("init")
    await acts.killed(place, worker)
