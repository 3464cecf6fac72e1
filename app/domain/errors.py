"""What can go wrong for a caller.

SchedulerError
├── InvalidInput
├── NotFound
│   └── AccountNotConnected
├── Conflict
│   ├── DuplicateJob
│   ├── IdempotencyKeyReused
│   ├── TooLongAgo
│   ├── JobNotEditable
│   ├── JobNotDeletable
│   ├── JobNotRetryable
│   ├── JobNotCancellable
│   ├── TooLate
│   ├── OutcomeUnknown
│   ├── ReconnectRequired
│   ├── WebhookDisabled
│   └── PostingNotAllowed
├── Forbidden
│   ├── ReadOnlyKey
│   └── NotForBrowsers
├── InvalidState
├── AuthorizationFailed
├── NotYourBrowser
├── OAuthNotConfigured
├── TokenUnreadable
├── TikTokUnavailable
├── QuotaExhausted
├── AssetUnavailable
├── RateLimited
├── TooManyStreams
├── TooManyListeners
├── GatewayBusy
└── StoreUnavailable
    ├── WriteUnknown
    ├── StoreRefused
    └── MayHaveBeenStored

The message is the class's docstring unless one is given. How each looks over HTTP
stands in one table, ``app/api/problems.py``.
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field of a request."""

    pointer: str  # JSON pointer into the body, or the parameter's name
    message: str
    code: str = "invalid"  # stable, for programs


class SchedulerError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").partition("\n")[0])


class InvalidInput(SchedulerError):
    """The request cannot be accepted as it is."""

    code = "invalid_request"

    def __init__(self, *errors: FieldError) -> None:
        super().__init__()
        self.errors = errors


class NotFound(SchedulerError):
    """There is nothing here."""

    code = "not_found"


class AccountNotConnected(NotFound):
    """No TikTok account is connected to this project; connect one."""

    code = "account_not_connected"


class Conflict(SchedulerError):
    """The request does not fit the present state."""

    code = "conflict"


class DuplicateJob(Conflict):
    """Another job of this project has the same asset and time."""

    code = "duplicate_job"


class IdempotencyKeyReused(Conflict):
    """This Idempotency-Key came before with another body; take a new one."""

    code = "idempotency_key_reused"


class TooLongAgo(Conflict):
    """Records of that time are pruned: it may be posted; post now, or set another."""

    code = "too_long_ago"


class JobNotEditable(Conflict):
    """The job can no longer be changed."""

    code = "job_not_editable"


class JobNotDeletable(Conflict):
    """The job is running, posted or in flight at TikTok and guards the post."""

    code = "job_not_deletable"


class JobNotRetryable(Conflict):
    """Only a failed job can be retried."""

    code = "job_not_retryable"


class JobNotCancellable(Conflict):
    """The job is over, or TikTok has it and does not cancel it."""

    code = "job_not_cancellable"


class TooLate(Conflict):
    """Its last moment is over; set a later publishBy first."""

    code = "too_late"


class OutcomeUnknown(Conflict):
    """TikTok may have taken this post; only acceptDuplicateRisk sends it again."""

    code = "outcome_unknown"


class ReconnectRequired(Conflict):
    """The TikTok account has to be connected again."""

    code = "reconnect_required"


class WebhookDisabled(Conflict):
    """The endpoint is disabled; put it again to enable it."""

    code = "webhook_disabled"


class PostingNotAllowed(Conflict):
    """TikTok lets this account post nothing at the moment."""

    code = "posting_not_allowed"

    def __init__(self, reason: str | None = None) -> None:
        super().__init__(reason and f"{self.__doc__} ({reason})")
        self.reason = reason  # TikTok's own code, if it was just told


class Forbidden(SchedulerError):
    """The caller may not do this."""

    code = "forbidden"


class ReadOnlyKey(Forbidden):
    """This key may read, and change nothing."""

    code = "read_only_key"


class NotForBrowsers(Forbidden):
    """A browser's token may not do this; use an API key, from a server."""

    code = "not_for_browsers"


class InvalidState(SchedulerError):
    """This way back from TikTok is unknown, used or out of date; connect again."""

    code = "invalid_state"


class AuthorizationFailed(SchedulerError):
    """TikTok did not connect the account; connect again."""

    code = "authorization_failed"


class NotYourBrowser(SchedulerError):
    """This sign-in was begun in another browser; begin it again in this one."""

    code = "not_your_browser"


class OAuthNotConfigured(SchedulerError):
    """Connecting needs settings that are not set."""

    code = "oauth_not_configured"


class TokenUnreadable(SchedulerError):
    """None of the present encryption keys opens the stored token."""

    code = "token_unreadable"


class TikTokUnavailable(SchedulerError):
    """TikTok does not answer as it should; try again later."""

    code = "tiktok_unavailable"


class QuotaExhausted(SchedulerError):
    """TikTok takes no more such calls for this account in this minute."""

    code = "quota_exhausted"

    def __init__(self, retry_after: float = 60.0) -> None:
        super().__init__()
        self.retry_after = retry_after  # seconds


class AssetUnavailable(SchedulerError):
    """The video cannot be had from its own URL."""

    code = "asset_unavailable"


class RateLimited(SchedulerError):
    """Too many requests with this API key; go on more slowly."""

    code = "rate_limited"

    def __init__(self, retry_after: float = 60.0) -> None:
        super().__init__()
        self.retry_after = retry_after  # seconds


class TooManyStreams(SchedulerError):
    """This API key has as many streams open as one may have."""

    code = "too_many_streams"


class TooManyListeners(SchedulerError):
    """This process streams to as many clients as it may; try again later."""

    code = "too_many_listeners"


class GatewayBusy(SchedulerError):
    """As much is streamed through the media gateway as may be; try again later."""

    code = "gateway_busy"


class StoreUnavailable(SchedulerError):
    """The database does not answer; nothing was changed, try again later."""

    code = "database_unavailable"


class WriteUnknown(StoreUnavailable):
    """The database went away without saying whether it wrote; look before a repeat."""

    code = "write_unknown"


class StoreRefused(StoreUnavailable):
    """The database answers, and refuses what it is asked to write."""

    code = "database_refused"


class MayHaveBeenStored(StoreUnavailable):
    """The database went away before it said whether the job was stored."""

    code = "may_have_been_stored"

    def __init__(self, job_id: str = "{id}") -> None:
        super().__init__(
            "The database went away before it said whether the job was stored."
            f" GET /v1/jobs/{job_id} tells; if there is none, send the request again."
        )
        self.job_id = job_id
