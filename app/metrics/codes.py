"""Error codes as labels: TikTok may make up new ones, a label's values are few."""

from typing import Final

from app.tiktok.codes import ERROR_CODES, FAIL_REASONS

OTHER: Final = "other"

# What the service says by itself, of calls and of attempts.
OURS: Final = frozenset(
    {
        "account_not_connected",
        "bad_answer",
        "claim_abandoned",
        "client_not_configured",
        "connect_failed",
        "connect_timeout",
        "connection_lost",
        "gateway_error",
        "init_void",
        "no_fail_reason",
        "outcome_unknown",
        "poll_deadline",
        "reconnect_required",
        "refresh_busy",
        "request_unsendable",
        "scheduler_error",
        "timeout",
        "too_many_requests",
        "turned_away",
    }
)
_KNOWN: Final = OURS | ERROR_CODES.keys() | FAIL_REASONS.keys()


def bounded(code: str | None) -> str:
    """Return a code that can be a label: itself if it is known, else ``other``."""
    return code if code in _KNOWN and code is not None else OTHER
