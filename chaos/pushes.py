"""Rows of videos that we upload, and of photos: struck at every chunk boundary."""

from collections.abc import Iterator
from typing import Any, Final

from chaos import acts
from chaos.acts import undisturbed
from chaos.cells import (
    GAVE_UP,
    IN_DOUBT_NOT_POSTED,
    IN_DOUBT_POSTED,
    PERMANENT,
    POSTED,
    Database,
    End,
    Fault,
    Row,
)
from chaos.gate import Moment, Stop

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
    Stop("chunk", nth=3),
    Stop("record"),
)
WRITTEN: Final = tuple(
    Stop(each.step, AFTER, each.nth) for each in WRITES if each.step != "chunk"
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
)
LOST_INITS: Final = ("hang", "reset", "truncate", "gateway", "ok_without_publish_id")

SOURCES: Final[tuple[tuple[str, str, End], ...]] = (
    ("knows no ranges", "range=0", POSTED),
    ("tells no length", "noLength=1&range=0", PERMANENT),
    ("changes before the second request", "changeAfter=1", POSTED),
    ("announces more than it has", "length=99999&range=0", GAVE_UP),
    ("tells another total", "total=99999", GAVE_UP),
    ("breaks off in the middle, each time", "cutAfter=15000", POSTED),
    ("redirects to a private address", "redirect=1&location=http://10.0.0.1/", GAVE_UP),
)


def rows() -> Iterator[Row]:
    """Return every row of an upload, and those of photos."""
    for stop in ON_THE_WAY:
        yield _struck("SIGKILL", stop, acts.killed)
    for stop in ON_THE_WAY:
        # Who is frozen in a commit may hold SQLite's one lock.
        only = (Database.POSTGRES,) if stop.moment is BEFORE else None
        group = "SIGSTOP past the lease, then SIGCONT"
        yield _struck(group, stop, acts.frozen, databases=only)
    for stop in STOPPED_AT:
        yield _struck("SIGTERM", stop, acts.told_to_stop, attempts=0, settings=PATIENT)
    for stop in WRITTEN:
        yield _struck("a commit's confirmation is lost", stop, acts.answer_lost)
    yield from _outages()
    yield from _tiktok_misbehaves()
    yield from _sources()
    yield from _photos()


def _outages() -> Iterator[Row]:
    postgres, sqlite = (Database.POSTGRES,), (Database.SQLITE,)
    for stop in WRITES:
        act = acts.connections_cut
        yield _struck("connections are cut", stop, act, databases=postgres)
    for stop in WRITES:
        yield _struck(
            "the database is away for a second",
            stop,
            acts.outage(acts.OUTAGE_SECONDS),
            databases=postgres,
            breaks_server=True,
        )
    for stop in WRITES:
        yield _struck(
            "the disk is full for a while",
            stop,
            acts.disk_full,
            databases=sqlite,
            breaks_disk=True,
        )


def _struck(
    what: str,
    stop: Stop,
    act: acts.Act,
    *,
    databases: tuple[Database, ...] | None = None,
    **more: Any,  # noqa: ANN401 - as Row takes them
) -> Row:
    time = f", time {stop.nth}" if stop.nth > 1 else ""
    return Row(
        group=f"push, {what}",
        cause=f"{stop}{time}",
        script=acts.struck(stop, act),
        ends=(POSTED,),
        push=True,
        databases=databases or tuple(Database),
        settles_after=0.5,
        **more,
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
    for stop, without, with_gateway in (
        (Stop("photo_init", BEFORE), IN_DOUBT_NOT_POSTED, POSTED),
        (Stop("photo_init", AFTER), IN_DOUBT_POSTED, IN_DOUBT_POSTED),
        (Stop("save_id", AFTER), POSTED, POSTED),
    ):
        yield Row(
            group="photos, SIGKILL",
            cause=str(stop),
            script=acts.struck(stop, acts.killed),
            ends=(without,),
            ends_with_gateway=(with_gateway,),
            photos=3,
        )
