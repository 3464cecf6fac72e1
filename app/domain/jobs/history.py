"""What happened to a job besides its attempts, which are in the ledger. Pure."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct


class HistoryKind(StrEnum):
    """The kinds of things that happen to a job."""

    EDITED = "edited"  # a person changed it
    MOVED = "moved"  # to another TikTok account, because a person said so
    PUT_OFF = "put_off"  # it waits for a new reason
    HELD = "held"  # posting was on hold when its time came
    RELEASED = "released"  # the hold ended
    RETRIED = "retried"
    GIVEN_UP = "given_up"  # an open publish, at the risk of a second post
    CANCELLED = "cancelled"
    RESTORED = "restored"  # a restored backup cannot tell what became of it
    FAILED_OVER = "failed_over"  # the database lost what became of it
    MISSED = "missed"  # its last moment passed
    CONFIRMED = "confirmed"  # TikTok says late that it was posted
    FAILED_LATE = "failed_late"  # TikTok says late that it was not
    AVAILABLE = "available"  # its id or URL became known
    WITHDRAWN = "withdrawn"  # it is not public any more
    DRAFT_PUBLISHED = "draft_published"
    DRAFT_DISCARDED = "draft_discarded"


class Adopted(StrEnum):
    """The evidence by which a publish without a job was assigned to this one."""

    FETCHED = "fetched"  # TikTok fetched the video by our pull URL
    SOLE = "sole_publisher"  # nobody else posts to the account with this TikTok app
    CAPTION = "caption"  # the account's only public video with this caption


class Actor(Struct, frozen=True):
    """Who did it: an API key."""

    key_id: str
    key_name: str


class HistoryEntry(Struct, frozen=True, kw_only=True):
    """One thing that happened to a job."""

    job_id: str
    at: datetime
    kind: HistoryKind
    data: Mapping[str, Any] | None = None
    by: Actor | None = None  # None: the service itself
