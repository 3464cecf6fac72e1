"""Events that TikTok sends: a hint to ask, never a proof."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Final, Self

from msgspec import Struct

from app.domain.accounts.account import RemovalReason


class EventKind(StrEnum):
    """An event that the service uses.

    https://developers.tiktok.com/doc/webhooks-events
    """

    FAILED = "post.publish.failed"
    COMPLETE = "post.publish.complete"  # perhaps not public yet
    IN_INBOX = "post.publish.inbox_delivered"
    PUBLIC = "post.publish.publicly_available"
    WITHDRAWN = "post.publish.no_longer_publicly_available"
    ACCESS_REMOVED = "authorization.removed"


# TikTok's documentation misspells it; the right spelling works, too.
SPELLINGS: Final = {"post.publish.no_longer_publicaly_available": EventKind.WITHDRAWN}


def event_kind(name: str) -> EventKind | None:
    """Return the kind of an event by TikTok's name for it, None if it is not used."""
    if name in SPELLINGS:
        return SPELLINGS[name]
    return EventKind(name) if name in set(EventKind) else None


class ToldOfPost(Struct, frozen=True):
    """What events say about one publish."""

    public: tuple[str, ...] = ()  # ids of public posts
    withdrawn: bool = False  # no post of it is public any more

    @classmethod
    def of(cls, events: Iterable[tuple[str, str | None]]) -> Self:
        """Read events, oldest first, each as TikTok's name and the post's id."""
        public: dict[str, None] = {}
        withdrawn = False
        for name, post_id in events:
            match event_kind(name):
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


class TikTokEvent(Struct, frozen=True, kw_only=True):
    """One event, as far as it is readable."""

    name: str  # TikTok's own spelling
    kind: EventKind | None  # None: older or unknown, kept and not used
    client_key: str | None
    open_id: str  # empty if there is none
    created_at: datetime | None  # whole seconds
    publish_id: str | None = None
    post_id: str | None = None
    removal: RemovalReason | None = None  # why access was removed
    dedup_key: str  # the same for every delivery of the same event
    body: str  # as received, without characters that a database refuses
