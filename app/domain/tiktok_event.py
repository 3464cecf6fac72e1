"""What TikTok tells us unasked: a hint to look, never a proof."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Self

from app.domain.accounts.account import RemovalReason


class EventKind(StrEnum):
    """An event that is made use of.

    https://developers.tiktok.com/doc/webhooks-events
    """

    FAILED = "post.publish.failed"
    COMPLETE = "post.publish.complete"  # perhaps not public yet
    IN_INBOX = "post.publish.inbox_delivered"
    PUBLIC = "post.publish.publicly_available"
    WITHDRAWN = "post.publish.no_longer_publicly_available"
    ACCESS_REMOVED = "authorization.removed"


# TikTok's documentation misspells it; the day that is mended must cost nothing.
SPELLINGS: Final = {"post.publish.no_longer_publicaly_available": EventKind.WITHDRAWN}


def kind_of(name: str) -> EventKind | None:
    """Return the kind of an event by TikTok's name for it, None if it is not used."""
    if name in SPELLINGS:
        return SPELLINGS[name]
    return EventKind(name) if name in set(EventKind) else None


@dataclass(frozen=True, slots=True)
class ToldOfPost:
    """What events say of one publish."""

    public: tuple[str, ...] = ()  # ids of posts that everybody can see
    withdrawn: bool = False  # none of those that there were is public any more

    @classmethod
    def of(cls, events: Iterable[tuple[str, str | None]]) -> Self:
        """Read events, oldest first, by TikTok's names and the posts they are about."""
        public: dict[str, None] = {}
        withdrawn = False
        for name, post_id in events:
            match kind_of(name):
                case EventKind.PUBLIC if post_id is not None:
                    public[post_id] = None
                    withdrawn = False
                case EventKind.WITHDRAWN:
                    if post_id is None:
                        public.clear()
                    else:
                        public.pop(post_id, None)
                    withdrawn = not public
                case _:
                    continue
        return cls(tuple(public), withdrawn)


@dataclass(frozen=True, slots=True, kw_only=True)
class TikTokEvent:
    """One event, as far as it can be read."""

    name: str  # TikTok's own spelling
    kind: EventKind | None  # None: older or unknown, kept and not used
    client_key: str | None
    open_id: str  # empty if there is none
    created_at: datetime | None  # whole seconds
    publish_id: str | None = None
    post_id: str | None = None
    removal: RemovalReason | None = None  # why access was removed
    dedup_key: str  # the same for every delivery of the same event
    body: str  # as it came, in characters that any database takes
