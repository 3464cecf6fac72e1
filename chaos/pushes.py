"""Rows of videos that we upload, with faults at every chunk boundary, and of photos."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from chaos import acts, kills
from chaos.acts import undisturbed
from chaos.cells import (
    GAVE_UP,
    PERMANENT,
    POSTED,
    Database,
    End,
    Fault,
    Row,
)
from chaos.gate import Moment, Stop
from chaos.place import PUSHED_BYTES

BEFORE, AFTER = Moment.BEFORE, Moment.AFTER

CHUNKS: Final = (1, 2, 3)
ON_THE_WAY: Final = (
    Stop("upload_init", BEFORE),
    Stop("upload_init", AFTER),
    Stop("save_upload", BEFORE),
    Stop("save_upload", AFTER),
    *(Stop("chunk", BEFORE, nth) for nth in CHUNKS),
    *(Stop("chunk", AFTER, nth) for nth in CHUNKS),
    *(Stop("note", AFTER, nth) for nth in CHUNKS),
    Stop("mark", BEFORE),
    Stop("mark", AFTER),
    Stop("wait", AFTER),
    Stop("status", AFTER),
    Stop("record", BEFORE),
)
STOPPED_AT: Final = (
    Stop("upload_init", AFTER),
    Stop("save_upload", AFTER),
    Stop("chunk", BEFORE, 2),
    Stop("mark", AFTER),
    Stop("chunk", BEFORE, 3),
)
WRITES: Final = (
    Stop("save_upload"),
    *(Stop("note", nth=nth) for nth in CHUNKS),
    Stop("mark"),
    Stop("record"),
)
WRITTEN: Final = tuple(Stop(each.step, AFTER, each.nth) for each in WRITES)
STEPS: Final = (
    Stop("upload_init"),
    *WRITES,
    *(Stop("chunk", nth=nth) for nth in CHUNKS),
    Stop("wait"),
    Stop("status"),
)
"""Where the database may go away."""

IN_ONE_CHUNK: Final = {"upload_whole_bytes": PUSHED_BYTES}
OF_ONE_CHUNK: Final = (
    Stop("save_upload", BEFORE),
    Stop("save_upload", AFTER),
    Stop("chunk", BEFORE),
    Stop("chunk", AFTER),
    Stop("note", AFTER),
)
_OF_PHOTOS: Final = {"init": "photo_init"}
OF_PHOTOS: Final = (
    Stop("stamp"),
    Stop("photo_init"),
    Stop("save_id"),
    Stop("wait"),
    Stop("record"),
)

PATIENT: Final = {"http_timeout_seconds": 20.0, "claim_timeout_seconds": 60.0}
"""Where no attempt may be counted, however slow a busy machine is."""

BROKEN: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("reset, not taken", {"kind": "reset"}),
    ("reset, taken", {"kind": "reset", "taken": True}),
    ("hang, not taken", {"kind": "hang"}),
    ("hang, taken", {"kind": "hang", "taken": True}),
    ("garbage", {"kind": "garbage", "taken": True}),
    ("503", {"kind": "empty", "httpStatus": 503}),
    ("cut in the middle", {"kind": "cut"}),
    ("cut in the middle, which is kept", {"kind": "cut", "keep": True}),
    (
        "206 with the wrong range",
        {"kind": "upload_answer", "httpStatus": 206, "contentRange": "bytes 0-3/9"},
    ),
    ("201 too early, or twice", {"kind": "upload_answer", "httpStatus": 201}),
    ("416", {"kind": "upload_answer", "httpStatus": 416}),
    ("its URL is over", {"kind": "upload_expired"}),
    ("the access token died", {"kind": "token_death"}),
)
LOST_INITS: Final = ("hang", "reset", "truncate", "gateway", "ok_without_publish_id")

TOO_SLOW: Final = "sends less than a byte a second"
SOURCES: Final[tuple[tuple[str, str, End], ...]] = (
    ("knows no ranges", "range=0", POSTED),
    ("tells no length", "noLength=1&range=0", PERMANENT),
    ("changes before the second request", "changeAfter=1", POSTED),
    ("announces more than it has", "length=99999&range=0", GAVE_UP),
    ("tells another total", "total=99999", POSTED),
    ("breaks off in the middle, each time", "cutAfter=15000", POSTED),
    ("redirects to a private address", "redirect=1&location=http://10.0.0.1/", GAVE_UP),
)


def rows() -> Iterator[Row]:
    """Return every row of an upload, and those of photos."""
    for stop in ON_THE_WAY:
        yield _struck("SIGKILL", stop, acts.killed)
    for stop in ON_THE_WAY:
        # A worker that is frozen in a commit may hold SQLite's one lock.
        only = (Database.POSTGRES,) if stop.moment is BEFORE else None
        group = "SIGSTOP past the lease, then SIGCONT"
        yield _struck(group, stop, acts.frozen, databases=only)
    for stop in STOPPED_AT:
        yield _struck("SIGTERM", stop, acts.told_to_stop, attempts=0, settings=PATIENT)
    for stop in WRITTEN:
        yield _struck("a commit's confirmation is lost", stop, acts.answer_lost)
    yield from _outages(STEPS)
    for stop in (Stop("mark", AFTER), Stop("chunk", AFTER, 3)):
        draft: dict[str, Any] = {"of": "push of a draft", "inbox": True}
        yield _struck("SIGKILL", stop, acts.killed, **draft)
    yield from _of_one_chunk()
    yield from _tiktok_misbehaves()
    yield from _sources()
    yield from _photos()


def _of_one_chunk() -> Iterator[Row]:
    """Strike where the mark is written with the upload."""
    more: dict[str, Any] = {"of": "push of one chunk", "settings": IN_ONE_CHUNK}
    for stop in OF_ONE_CHUNK:
        yield _struck("SIGKILL", stop, acts.killed, **more)
    for stop in OF_ONE_CHUNK:
        only = (Database.POSTGRES,) if stop.moment is BEFORE else None
        group = "SIGSTOP past the lease, then SIGCONT"
        yield _struck(group, stop, acts.frozen, databases=only, **more)
    stop = Stop("save_upload", AFTER)
    yield _struck("a commit's confirmation is lost", stop, acts.answer_lost, **more)
    yield from _outages((Stop("save_upload"), Stop("chunk")), **more)


def _outages(stops: tuple[Stop, ...], **more: Any) -> Iterator[Row]:  # noqa: ANN401
    postgres, sqlite = (Database.POSTGRES,), (Database.SQLITE,)
    for stop in stops:
        act = acts.connections_cut
        yield _struck("connections are cut", stop, act, databases=postgres, **more)
    for stop in stops:
        yield _struck(
            "the database is away for a second",
            stop,
            acts.outage(acts.OUTAGE_SECONDS),
            databases=postgres,
            breaks_server=True,
            **more,
        )
    for stop in stops:
        yield _struck(
            "the disk is full for a while",
            stop,
            acts.disk_full,
            databases=sqlite,
            breaks_disk=True,
            **more,
        )


def _struck(
    what: str,
    stop: Stop,
    act: acts.Act,
    *,
    of: str = "push",
    databases: tuple[Database, ...] | None = None,
    **more: Any,  # noqa: ANN401 - as Row takes them
) -> Row:
    time = f", time {stop.nth}" if stop.nth > 1 else ""
    fields: dict[str, Any] = {"ends": (POSTED,), "push": "photos" not in more} | more
    return Row(
        group=f"{of}, {what}",
        cause=f"{stop}{time}",
        script=acts.struck(stop, act),
        databases=databases or tuple(Database),
        settles_after=0.5,
        **fields,
    )


def _tiktok_misbehaves() -> Iterator[Row]:
    for name, fault in BROKEN:
        for place, chunk in (("first", 0), ("middle", 1), ("last", 2)):
            struck = {"call": "upload", "match": {"chunk": chunk}, "fault": fault}
            yield _row("push, fault at a chunk", f"the {place}: {name}", (struck,))
    for kind in LOST_INITS:
        lost = {"call": "init", "fault": {"kind": kind, "taken": True}}
        yield _row("push, fault at init", f"{kind}, taken", (lost,))


def _sources() -> Iterator[Row]:
    cut = {"call": "upload", "match": {"chunk": 1}, "fault": {"kind": "cut"}}
    for name, query, end in SOURCES:
        yield _row("push, the video's server", name, (), query=query, end=end)
        if end is POSTED:
            why = f"{name}, and a chunk is cut"
            yield _row("push, the video's server", why, (cut,), query=query)
    slow = "bytesPerSecond=0.5"
    row = _row("push, the video's server", TOO_SLOW, (), query=slow, end=GAVE_UP)
    # Each attempt waits for its bytes until its lease is over, however short that is.
    yield replace(row, max_attempts=2)


def _row(
    group: str,
    cause: str,
    faults: tuple[Fault, ...],
    *,
    query: str = "",
    end: End = POSTED,
) -> Row:
    return Row(
        group=group,
        cause=cause,
        script=undisturbed,
        faults=faults,
        ends=(end,),
        push=True,
        query=query,
        settles_after=0.5,
    )


def _photos() -> Iterator[Row]:
    """Strike photos at every step at which a pulled video is struck."""
    more: dict[str, Any] = {"of": "photos", "photos": 3}
    for group, act, stops in (
        ("SIGKILL", acts.killed, kills.ON_THE_WAY),
        ("SIGSTOP past the lease, then SIGCONT", acts.frozen, kills.FROZEN_AT),
    ):
        for stop, (without, with_gateway) in stops:
            if stop == Stop("wait", AFTER, 2):
                continue  # there is no second poll
            ends: dict[str, Any] = {"ends": without}
            if with_gateway != without:
                ends["ends_with_gateway"] = with_gateway
            at = replace(stop, step=_OF_PHOTOS.get(stop.step, stop.step))
            yield _struck(group, at, act, **ends, **more)
    yield from _outages(OF_PHOTOS, **more)
