"""What TikTok tells us unasked: a hint to look, never a proof."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


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
    dedup_key: str  # the same for every delivery of the same event
    body: str  # as it came, in characters that any database takes
