"""Rows in which TikTok misbehaves: every kind of fault at every kind of call."""

from collections.abc import Iterator
from typing import Any, Final

from chaos.acts import undisturbed
from chaos.cells import (
    AUTH,
    GAVE_UP,
    IN_DOUBT_NOT_POSTED,
    IN_DOUBT_POSTED,
    PERMANENT,
    POSTED,
    End,
    Fault,
    Row,
)

DRIP: Final = {"kind": "drip", "seconds_per_byte": 0.2}
SLOW: Final = {"kind": "slow", "seconds": 0.5}
TOO_SLOW: Final = {"kind": "slow", "seconds": 4}

ANSWERED: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("internal error, 500", {"kind": "error", "code": "internal_error"}),
    ("unknown 5xx", {"kind": "error", "code": "mystery", "httpStatus": 503}),
    ("429 without Retry-After", {"kind": "rate_limit"}),
    ("429, Retry-After 1", {"kind": "rate_limit", "retryAfter": 1}),
)
"""TikTok's own word that nothing was done, and that it may be tried again."""

BROKEN: Final = (
    "hang",
    "reset",
    "close",
    "truncate",
    "empty",
    "gateway",
    "garbage",
)
"""No answer, or none that can be read; each before or after it took effect."""

REFUSED: Final = {"kind": "error", "code": "mystery", "httpStatus": 400}
STALE: Final = {"kind": "error", "code": "access_token_invalid"}
NO_SCOPE: Final = {"kind": "error", "code": "scope_not_authorized"}
BANNED: Final = {"kind": "error", "code": "spam_risk_user_banned_from_posting"}
CAPPED: Final = {"kind": "error", "code": "spam_risk_too_many_posts"}


def rows() -> Iterator[Row]:
    """Return every row in which TikTok misbehaves."""
    yield from _creator_info()
    yield from _init("init", inbox=False)
    yield from _init("inbox_init", inbox=True)
    yield from _processing()
    yield from _status()
    yield from _token()
    yield from _for_ever()


def _row(
    call: str,
    what: str,
    fault: dict[str, Any],
    *ends: End,
    with_gateway: tuple[End, ...] | None = None,
    first: tuple[Fault, ...] = (),
    times: int | None = 1,
    **fields: Any,  # noqa: ANN401 - the row's own
) -> Row:
    return Row(
        group=f"fault at {call}",
        cause=what,
        script=undisturbed,
        faults=(*first, {"call": call, "fault": fault, "times": times}),
        ends=ends,
        ends_with_gateway=with_gateway,
        **fields,
    )


def _creator_info() -> Iterator[Row]:
    call = "creator_info"
    for what, fault in ANSWERED:
        yield _row(call, what, fault, POSTED)
    for kind in BROKEN:
        yield _row(call, kind, {"kind": kind}, POSTED)
    yield _row(call, "answer byte by byte", DRIP, POSTED)
    yield _row(call, "slow", SLOW, POSTED)
    yield _row(call, "access token died", {"kind": "token_death"}, POSTED)
    yield _row(call, "access token refused", STALE, POSTED)
    yield _row(call, "scope missing", NO_SCOPE, AUTH)
    yield _row(call, "unknown 4xx", REFUSED, PERMANENT)
    yield _row(call, "creator banned", BANNED, PERMANENT)
    yield _row(call, "creator's cap reached", CAPPED, POSTED)


def _init(call: str, *, inbox: bool) -> Iterator[Row]:
    def row(what: str, fault: dict[str, Any], *ends: End, **fields: Any) -> Row:  # noqa: ANN401
        return _row(call, what, fault, *ends, inbox=inbox, **fields)

    for what, fault in ANSWERED:
        yield row(what, fault, POSTED)
    for kind in (*BROKEN, "ok_without_publish_id"):
        yield row(
            f"{kind}, not taken",
            {"kind": kind, "taken": False},
            IN_DOUBT_NOT_POSTED,
            with_gateway=(POSTED,),
        )
        yield row(
            f"{kind}, taken",
            {"kind": kind, "taken": True},
            IN_DOUBT_POSTED,
            # Its URL was revoked before TikTok fetched it: another init may be sent.
            with_gateway=(IN_DOUBT_POSTED, POSTED),
        )
    yield row(
        "answer byte by byte",
        DRIP,
        IN_DOUBT_POSTED,
        with_gateway=(IN_DOUBT_POSTED,),
    )
    yield row(
        "taken after the time-out",
        TOO_SLOW,
        IN_DOUBT_POSTED,
        with_gateway=(POSTED,),
        settles_after=4,
    )
    yield row("slow", SLOW, POSTED)
    yield row("access token died", {"kind": "token_death"}, POSTED)
    yield row("access token refused", STALE, POSTED)
    yield row("scope missing", NO_SCOPE, AUTH)
    yield row("unknown 4xx", REFUSED, PERMANENT)
    yield row("creator banned", BANNED, PERMANENT)
    yield row("creator's cap reached", CAPPED, POSTED)


def _processing() -> Iterator[Row]:
    def row(what: str, fault: dict[str, Any], *ends: End, **fields: Any) -> Row:  # noqa: ANN401
        return _row("init", what, {"kind": "processing", **fault}, *ends, **fields)

    yield row("the video fails once", {"failReason": "video_pull_failed"}, POSTED)
    yield row("the video is refused", {"failReason": "duration_check"}, PERMANENT)
    yield row("processing takes longer than a poll", {"seconds": 4}, POSTED)
    yield row("processing never ends", {"stuck": True}, GAVE_UP, max_attempts=2)


def _status() -> Iterator[Row]:
    call = "status"
    for what, fault in ANSWERED:
        yield _row(call, what, fault, POSTED)
    for kind in BROKEN:
        yield _row(call, kind, {"kind": kind}, POSTED)
    yield _row(call, "answer byte by byte", DRIP, POSTED)
    yield _row(call, "slow", SLOW, POSTED)
    yield _row(call, "access token died", {"kind": "token_death"}, POSTED)
    yield _row(call, "access token refused", STALE, POSTED)
    yield _row(call, "unknown 4xx", REFUSED, POSTED)
    # TikTok answers no question about the post any more until a person reconnects.
    yield _row(call, "scope missing", NO_SCOPE, End("auth", 1))


def _token() -> Iterator[Row]:
    died: tuple[Fault, ...] = (
        {"call": "creator_info", "fault": {"kind": "token_death"}},
    )
    for what, fault in ANSWERED:
        yield _row("token", what, fault, POSTED, first=died)
    for kind in BROKEN:
        yield _row(
            "token",
            f"{kind}, old pair still good",
            {"kind": kind, "taken": False},
            POSTED,
            first=died,
        )
        yield _row(
            "token",
            f"{kind}, new pair lost",
            {"kind": kind, "taken": True},
            AUTH,
            first=died,
        )
    yield _row("token", "answer byte by byte, new pair lost", DRIP, AUTH, first=died)
    yield _row("token", "slow", SLOW, POSTED, first=died)
    yield _row("token", "grant expired", {"kind": "invalid_grant"}, AUTH, first=died)
    flat_200 = {"kind": "invalid_grant", "httpStatus": 200}
    yield _row("token", "grant expired, HTTP 200", flat_200, AUTH, first=died)


def _for_ever() -> Iterator[Row]:
    down = {"kind": "gateway", "httpStatus": 502}
    broken = {"kind": "error", "code": "internal_error"}
    yield _row(
        "creator_info", "down for ever", down, GAVE_UP, times=None, max_attempts=3
    )
    yield _row("init", "broken for ever", broken, GAVE_UP, times=None, max_attempts=3)
    yield _row(
        "status",
        "down for ever",
        down,
        End("max_attempts", 1),  # TikTok has it; asked again when it answers again
        times=None,
        max_attempts=2,
    )
