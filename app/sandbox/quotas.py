"""TikTok's limits on calls per account, in a sliding window."""

from collections import deque
from dataclasses import dataclass, field

from app.sandbox.recording import Call
from app.sandbox.settings import Quotas


@dataclass(slots=True)
class QuotaBook:
    """Count the calls that were let through, per account and endpoint."""

    windows: dict[tuple[str, Call], deque[float]] = field(default_factory=dict)

    def admit(
        self,
        open_id: str,
        call: Call,
        *,
        limit: int | None,
        window: float,
        now: float,
    ) -> bool:
        """Count a call and say yes, or say no if the window is full."""
        if limit is None:
            return True
        calls = self.windows.setdefault((open_id, call), deque())
        while calls and calls[0] <= now - window:
            calls.popleft()
        if len(calls) >= limit:
            return False
        calls.append(now)
        return True


def limit_of(call: Call, quotas: Quotas | None) -> int | None:
    """Find the limit of an endpoint; None means that there is none."""
    if quotas is None:
        return None
    limits = {
        Call.INIT: quotas.init,
        Call.INBOX_INIT: quotas.init,
        Call.CONTENT_INIT: quotas.init,
        Call.STATUS: quotas.status,
        Call.CREATOR_INFO: quotas.creator_info,
    }
    return limits.get(call)
