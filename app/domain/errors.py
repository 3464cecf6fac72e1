"""What can go wrong for a caller.

The message is the class's docstring unless one is given. How each looks over HTTP
stands in one table, ``app/api/problems.py``.
"""

from typing import ClassVar

from msgspec import Struct


class FieldError(Struct, frozen=True):
    """What is wrong with one field of a request."""

    pointer: str  # JSON pointer into the body, or the parameter's name
    message: str
    code: str = "invalid"  # stable, for programs


def in_our_words(message: str) -> str:
    """Return pydantic's words about a value in our own."""
    told = message.removeprefix("Value error, ").partition(", unable to ")[0]
    return told.replace("Input should", "must", 1)


class SchedulerError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").partition("\n")[0])


class InvalidInput(SchedulerError):
    """The request is not valid."""

    code = "invalid_request"

    def __init__(self, *errors: FieldError) -> None:
        super().__init__()
        self.errors = errors


class NotFound(SchedulerError):
    """There is no such thing, or it belongs to another project."""

    code = "not_found"


class AccountNotConnected(NotFound):
    """No TikTok account is connected to this project; connect one."""

    code = "account_not_connected"


class Conflict(SchedulerError):
    """The request does not fit the current state."""

    code = "conflict"


class DuplicateJob(Conflict):
    """Another job of this project has the same asset and time."""

    code = "duplicate_job"


class IdempotencyKeyReused(Conflict):
    """This Idempotency-Key was used with another body; use a new one."""

    code = "idempotency_key_reused"


class TooLongAgo(Conflict):
    """Records from then were deleted, so it may have been posted; set a later time."""

    code = "too_long_ago"


class JobNotEditable(Conflict):
    """The job can no longer be changed."""

    code = "job_not_editable"


class JobUnreadable(Conflict):
    """A newer version wrote the job; this one leaves it as it is."""

    code = "job_unreadable"


class JobNotDeletable(Conflict):
    """The job is running, posted or in flight at TikTok and guards the post."""

    code = "job_not_deletable"


class JobNotRetryable(Conflict):
    """Only a failed job can be retried."""

    code = "job_not_retryable"


class JobNotCancellable(Conflict):
    """The job has ended, or TikTok has it and does not cancel it."""

    code = "job_not_cancellable"


class TooLate(Conflict):
    """Its deadline has passed; set a later publishBy first."""

    code = "too_late"


class OutcomeUnknown(Conflict):
    """TikTok may have accepted this post; only acceptDuplicateRisk sends it again."""

    code = "outcome_unknown"


class ReconnectRequired(Conflict):
    """The TikTok account has to be connected again."""

    code = "reconnect_required"


class WebhookDisabled(Conflict):
    """The endpoint is disabled; put it again to enable it."""

    code = "webhook_disabled"


class PostingNotAllowed(Conflict):
    """TikTok does not allow this account to post at the moment."""

    code = "posting_not_allowed"

    def __init__(self, reason: str | None = None) -> None:
        super().__init__(reason and f"{self.__doc__} ({reason})")
        self.reason = reason  # TikTok's own code, if it was just told


class Forbidden(SchedulerError):
    """The caller may not do this."""

    code = "forbidden"


class ReadOnlyKey(Forbidden):
    """This key can only read; use one with write access."""

    code = "read_only_key"


class NotForBrowsers(Forbidden):
    """A browser's token may not do this; use an API key, from a server."""

    code = "not_for_browsers"


class InvalidState(SchedulerError):
    """This sign-in link has expired or was already used; connect again."""

    code = "invalid_state"


class AuthorizationFailed(SchedulerError):
    """TikTok did not connect the account; connect again."""

    code = "authorization_failed"


class NotYourBrowser(SchedulerError):
    """This sign-in was started in another browser; start it again in this one."""

    code = "not_your_browser"


class OAuthNotConfigured(SchedulerError):
    """Connecting needs settings that are not set."""

    code = "oauth_not_configured"


class TokenUnreadable(SchedulerError):
    """None of the configured encryption keys can decrypt the stored token."""

    code = "token_unreadable"


class TikTokUnavailable(SchedulerError):
    """TikTok did not answer properly; try again later."""

    code = "tiktok_unavailable"


class QuotaExhausted(SchedulerError):
    """TikTok accepts no more such calls for this account in this minute."""

    code = "quota_exhausted"

    def __init__(self, retry_after: float = 60.0) -> None:
        super().__init__()
        self.retry_after = retry_after  # seconds


class AssetUnavailable(SchedulerError):
    """The video cannot be downloaded from its URL."""

    code = "asset_unavailable"


class TooManyRequests(SchedulerError):
    """Too many requests with this API key; slow down."""

    code = "rate_limited"

    def __init__(self, retry_after: float = 60.0) -> None:
        super().__init__()
        self.retry_after = retry_after  # seconds


class TooManyStreams(SchedulerError):
    """This API key has the maximum number of streams open."""

    code = "too_many_streams"


class TooManyListeners(SchedulerError):
    """This process streams to its maximum number of clients; try again later."""

    code = "too_many_listeners"


class GatewayBusy(SchedulerError):
    """The media gateway is too busy; try again later."""

    code = "gateway_busy"


class StoreUnavailable(SchedulerError):
    """The database does not answer; nothing was changed. Try again later."""

    code = "database_unavailable"


class WriteUnknown(StoreUnavailable):
    """The database connection broke before it confirmed; check before a retry."""

    code = "write_unknown"


class StoreRefused(StoreUnavailable):
    """The database answers, but refuses the write."""

    code = "database_refused"


class MayHaveBeenStored(StoreUnavailable):
    """The connection to the database broke; the job may have been stored."""

    code = "may_have_been_stored"

    def __init__(self, job_id: str = "{id}") -> None:
        super().__init__(
            "The connection to the database broke; the job may have been stored."
            f" GET /v1/jobs/{job_id} tells; if it answers 404, send the request again."
        )
        self.job_id = job_id
