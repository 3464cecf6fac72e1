"""The outcome of an attempt: a value, never an exception.

An attempt ends in exactly one of these. ``in_flight`` says whether an init of the job
may still become a post at TikTok; it decides whether a later attempt may send another.
"""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from app.domain.jobs.job import ErrorClass, LastError, WaitingFor


class Verdict(StrEnum):
    """What is known about a call that did not succeed."""

    NOT_SENT = "not_sent"  # no byte can have arrived
    ANSWERED = "answered"  # TikTok said no
    UNKNOWN = "unknown"  # it may have been carried out


class Fault(Struct, frozen=True, kw_only=True):
    """Why a call to TikTok failed; holds no secret."""

    error_class: ErrorClass
    code: str
    message: str
    verdict: Verdict = Verdict.ANSWERED
    http_status: int | None = None
    log_id: str | None = None
    retry_after: float | None = None  # seconds, as TikTok asked

    def to_error(self, at: datetime) -> LastError:
        """Return what a job keeps of this fault."""
        return LastError(
            error_class=self.error_class,
            code=self.code,
            message=self.message,
            log_id=self.log_id,
            at=at,
        )


class Published(Struct, frozen=True, kw_only=True, gc=False):
    """TikTok published the video."""

    publish_id: str
    post_id: str | None = None  # public posts only, and sometimes later
    post_url: str | None = None
    post_ids: tuple[str, ...] = ()  # all of them
    log_id: str | None = None
    http_status: int | None = None  # of the answer that said so

    @property
    def ids(self) -> tuple[str, ...]:
        """Return every id that TikTok named."""
        return self.post_ids or ((self.post_id,) if self.post_id else ())


class InInbox(Struct, frozen=True, kw_only=True):
    """TikTok put the draft into the person's inbox."""

    publish_id: str
    log_id: str | None = None
    http_status: int | None = None


class Processing(Struct, frozen=True, kw_only=True):
    """TikTok took the init and was not done when the poll deadline came."""

    publish_id: str
    fault: Fault | None = None  # the last error of a status call, if it ended on one


class _Failed(Struct, frozen=True, kw_only=True):
    fault: Fault
    in_flight: bool = False


class RateLimited(_Failed, frozen=True, kw_only=True):
    """TikTok took nothing because a limit was reached."""


class Transient(_Failed, frozen=True, kw_only=True):
    """Something failed that may work later."""


class Rejected(_Failed, frozen=True, kw_only=True):
    """TikTok will never take this post as it is."""


class AuthLost(_Failed, frozen=True, kw_only=True):
    """The account's grant is gone, or lacks a scope."""


class Unconfirmed(Struct, frozen=True, kw_only=True):
    """An init went out and nobody can tell whether TikTok took it."""

    fault: Fault


class Abandoned(Struct, frozen=True, kw_only=True):
    """The claim ran out: its worker died or lost the database."""

    worker: str | None


class Missed(Struct, frozen=True, kw_only=True):
    """The job's ``publish_by`` passed before its init was sent."""


class PutOff(Struct, frozen=True, kw_only=True):
    """The job waits; no attempt, no error."""

    until: datetime
    waiting_for: WaitingFor


class HandedOn(Struct, frozen=True, kw_only=True):
    """The worker ran out of time and gives the job back; no attempt, no error.

    ``polling_since`` starts the attempt's polling time. It is later than the real start
    by the time spent waiting for permits.
    """

    resume_at: datetime
    polling_since: datetime | None = None


Outcome = (
    Published
    | InInbox
    | Processing
    | RateLimited
    | Transient
    | Rejected
    | AuthLost
    | Unconfirmed
    | Abandoned
    | Missed
    | PutOff
    | HandedOn
)
