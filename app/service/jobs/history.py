"""A job's full history in words, from its row, its ledger and its history."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct

from app.domain.api_key import Actor
from app.domain.codes import words_of
from app.domain.jobs.history import Adopted, HistoryEntry, HistoryKind
from app.domain.jobs.job import AttemptRecord, Job, WaitingFor
from app.service.jobs.notices import WAITING

LATE: Final = timedelta(minutes=1)
"""A job that begins later than this began late."""

TEXTS: Final[dict[HistoryKind, str]] = {
    HistoryKind.EDITED: "It was changed.",
    HistoryKind.MOVED: "It was moved to the TikTok account that is connected now.",
    HistoryKind.PUT_OFF: "It was postponed.",
    HistoryKind.HELD: "Posting was on hold, so it waited.",
    HistoryKind.RELEASED: "The hold was ended.",
    HistoryKind.RETRIED: "It was started again.",
    HistoryKind.GIVEN_UP: "The open publish at TikTok was given up, to send it again.",
    HistoryKind.CANCELLED: "It was cancelled.",
    HistoryKind.FAILED_OVER: "It was stopped, because it may have been posted already:"
    " the database lost its last moments.",
    HistoryKind.RESTORED: "It was stopped, because it may have been posted already: the"
    " database was restored from a backup.",
    HistoryKind.MISSED: "Its deadline passed before it could be sent.",
    HistoryKind.CONFIRMED: "TikTok reported later that it was posted after all.",
    HistoryKind.FAILED_LATE: "TikTok reported later that it was not posted.",
    HistoryKind.AVAILABLE: "The post's public address became known.",
    HistoryKind.WITHDRAWN: "TikTok no longer shows the post.",
    HistoryKind.DRAFT_PUBLISHED: "The draft was published in TikTok's app.",
    HistoryKind.DRAFT_DISCARDED: "The draft was deleted.",
}
ADOPTED: Final[dict[Adopted, str]] = {
    Adopted.FETCHED: "TikTok reported a post without a job. It is this one: TikTok"
    " fetched the video by this job's own link.",
    Adopted.SOLE: "TikTok reported a post without a job. It is this one: nobody else"
    " publishes to this account (SOLE_PUBLISHER).",
    Adopted.CAPTION: "It was found on the account: the only video with this caption"
    " since then.",
}
_ENDS: Final = {
    "published": "TikTok published it.",
    "in_inbox": "TikTok put the draft into the inbox.",
    "missed": "Its deadline passed before it could be sent.",
}


class HistoryItem(Struct, frozen=True, kw_only=True):
    """One thing that happened to a job."""

    at: datetime
    kind: str
    text: str
    by: Actor | None = None
    data: Mapping[str, Any] | None = None
    attempt: AttemptRecord | None = None


def story_of(
    job: Job,
    attempts: Sequence[AttemptRecord],
    entries: Sequence[HistoryEntry],
    by: Actor | None = None,
) -> tuple[HistoryItem, ...]:
    """Return everything that happened to a job, oldest first; ``by`` asked for it."""
    items = [
        HistoryItem(at=job.created_at, kind="accepted", text="It was accepted.", by=by),
        *_of_ledger(job, attempts),
        *map(_of_entry, entries),
    ]
    return tuple(sorted(items, key=lambda item: item.at))


def _of_ledger(job: Job, attempts: Sequence[AttemptRecord]) -> Iterator[HistoryItem]:
    for attempt in attempts:
        late = attempt.started_at - job.scheduled_for
        if attempt.number == 1 and late > LATE:
            minutes = round(late / timedelta(minutes=1))
            text = f"It was started about {minutes} minutes after its time."
            yield HistoryItem(at=attempt.started_at, kind="claimed_late", text=text)
        kind = "posted" if attempt.decision == "posted" else "attempt"
        yield HistoryItem(
            at=attempt.finished_at,
            kind=kind,
            text=f"Attempt {attempt.number}: {_end(attempt)}",
            attempt=attempt,
        )


def _end(attempt: AttemptRecord) -> str:
    if (known := _ENDS.get(attempt.outcome)) is not None:
        return known
    if attempt.error_class is None:
        return f"it ended {attempt.decision}."
    return words_of(attempt.error_code or "", attempt.error_class).what


def _of_entry(entry: HistoryEntry) -> HistoryItem:
    text = TEXTS[entry.kind]
    if entry.kind is HistoryKind.PUT_OFF and entry.data is not None:
        text = WAITING[WaitingFor(entry.data["reason"])]
    if entry.kind is HistoryKind.HELD and entry.data is not None:
        text = f"Posting was on hold, so it waited: {entry.data['reason']}"
    if entry.kind is HistoryKind.CONFIRMED and entry.data is not None:
        text = ADOPTED.get(entry.data.get("adopted", ""), text)
    return HistoryItem(
        at=entry.at, kind=str(entry.kind), text=text, by=entry.by, data=entry.data
    )
