"""The events for frontends, and which changes of a job make one. Pure."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct

from app.domain.accounts.account import Account
from app.domain.jobs.corrections import is_news
from app.domain.jobs.job import Availability, FailureReason, Job, JobStatus
from app.domain.jobs.readiness import Readiness
from app.domain.jobs.transition import Transition


class EventType(StrEnum):
    """The types of events; docs/webhooks.md describes each."""

    JOB_POSTED = "job.posted"
    JOB_FAILED = "job.failed"  # for every reason
    JOB_UNCONFIRMED = "job.unconfirmed"  # besides job.failed: a person has to look
    JOB_RETRYING = "job.retrying"
    JOB_AT_RISK = "job.at_risk"
    JOB_POST_AVAILABLE = "job.post_available"  # its id, its URL or its draft's end
    JOB_POST_WITHDRAWN = "job.post_withdrawn"
    ACCOUNT_RECONNECT_REQUIRED = "account.reconnect_required"
    ACCOUNT_CHANGED = "account.changed"  # another person is connected now
    TEST = "webhook.test"  # only ever sent on request


ABOUT_ACCOUNTS: Final = frozenset(
    {EventType.ACCOUNT_RECONNECT_REQUIRED, EventType.ACCOUNT_CHANGED}
)


class EventStatus(StrEnum):
    """The state of an event's delivery."""

    PENDING = "pending"  # being sent, or waiting for its next try
    DELIVERED = "delivered"  # the receiver confirmed it
    FAILED = "failed"  # given up; a replay sends it again


class EndpointTest(Struct, frozen=True):
    """The payload of a test event: whose endpoint it is."""

    project_id: str


EventPayload = Job | Account | EndpointTest
"""What an event shows: a job or account as it was when the event was written."""

Render = Callable[[EventType, datetime, EventPayload], bytes]
"""Renders an event's body from its type, its time and its payload."""


def events_of(job: Job, change: Transition) -> tuple[EventType, ...]:
    """Return the events of a change of a job, in order.

    A job that is put off or handed on makes none, nor does a correction that only adds
    details. A failure whose reason changes makes one: what was in doubt is now certain.
    """
    match change.to:
        case JobStatus.POSTED if job.status is not JobStatus.POSTED:
            return (EventType.JOB_POSTED,)
        case JobStatus.POSTED if change.availability is not job.availability and (
            change.availability is Availability.WITHDRAWN
        ):
            return (EventType.JOB_POST_WITHDRAWN,)
        case JobStatus.POSTED if is_news(job, change):
            return (EventType.JOB_POST_AVAILABLE,)
        case JobStatus.FAILED if job.failure_reason is not change.failure_reason:
            if change.failure_reason is FailureReason.UNCONFIRMED:
                return EventType.JOB_FAILED, EventType.JOB_UNCONFIRMED
            return (EventType.JOB_FAILED,)
        case JobStatus.RETRYING if change.entry is not None:
            return (EventType.JOB_RETRYING,)
        case _:
            return ()


def puts_at_risk(found: Readiness, before: Readiness | None) -> bool:
    """Tell whether a readiness check found a problem of which no event has told."""
    told = () if before is None or before.is_first else before.problems
    known = {problem.code for problem in told}
    return any(problem.code not in known for problem in found.problems)
