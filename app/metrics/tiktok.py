"""Calls and uploads to TikTok, waits for quotas, and TikTok's webhooks."""

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from app.domain.accounts.quota import QuotaCall
from app.domain.codes import CODES
from app.domain.jobs.job import WaitingFor
from app.domain.jobs.outcome import Fault
from app.domain.tiktok_event import EventKind
from app.tiktok.upload_answers import UploadAnswer
from app.tiktok.wire import Endpoint

OK: Final = "ok"
OTHER: Final = "other"
NO_ANSWER: Final = "none"
CALL_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)
"""Seconds; HTTP_TIMEOUT_SECONDS is 10 by default."""


def code_label(code: str | None) -> str:
    """Return a code that can be a label, of which there are few: else ``other``."""
    return code if code in CODES and code is not None else OTHER


class TikTokMetrics:
    """Counts this process's traffic with TikTok."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Counter(
            "scheduler_tiktok_calls",
            "Calls to TikTok, by the code of the answer; ok is success",
            ("endpoint", "code"),
            registry=registry,
        )
        # The series of nearly every call, looked up once.
        self._well = {each: self._calls.labels(each, OK) for each in Endpoint}
        self._seconds = _seconds(registry)
        self._waits = Counter(
            "scheduler_quota_waits",
            "Calls that were put off, by what they wait for",
            ("call", "waiting_for"),
            registry=registry,
        )
        self._rests = Counter(
            "scheduler_rests",
            "Times an account, or for the app's cap the app, was told to rest",
            ("reason",),
            registry=registry,
        )
        self._refreshes = Counter(
            "scheduler_token_refreshes",
            "Token refreshes by result; refused means that a person must reconnect",
            ("result",),
            registry=registry,
        )
        self._webhooks = Counter(
            "scheduler_tiktok_webhooks",
            "Events that TikTok delivered, and what became of the delivery",
            ("event", "receipt"),
            registry=registry,
        )
        self._start_at_zero()

    def call(self, endpoint: Endpoint, fault: Fault | None, seconds: float) -> None:
        """Count a call that ended, with its fault, if any."""
        if fault is None:
            self._well[endpoint].inc()
        else:
            self._calls.labels(endpoint, code_label(fault.code)).inc()
        self._seconds[endpoint].observe(seconds)
        if endpoint is Endpoint.REFRESH:
            self._refreshes.labels(_result(fault)).inc()

    def wait(self, call: QuotaCall, waiting_for: WaitingFor) -> None:
        """Count a call that was put off."""
        self._waits.labels(call, waiting_for).inc()

    def rest(self, reason: WaitingFor) -> None:
        """Count a rest of an account or the app."""
        self._rests.labels(reason).inc()

    def webhook(self, kind: EventKind | None, receipt: str) -> None:
        """Count a delivery; ``kind`` is None for an event that is not used."""
        self._webhooks.labels(kind or OTHER, receipt).inc()

    def _start_at_zero(self) -> None:
        """Export zeros instead of gaps before anything happened."""
        for call in QuotaCall:
            self._waits.labels(call, WaitingFor.QUOTA)
        for reason in (WaitingFor.QUOTA, WaitingFor.ACCOUNT_CAP, WaitingFor.APP_CAP):
            self._rests.labels(reason)
        for result in (OK, "refused", "failed"):
            self._refreshes.labels(result)


def _seconds(registry: CollectorRegistry) -> Mapping[Endpoint, Histogram]:
    seconds = Histogram(
        "scheduler_tiktok_call_seconds",
        "From sending a call to TikTok to its answer, or to giving up",
        ("endpoint",),
        buckets=CALL_BUCKETS,
        registry=registry,
    )
    return {each: seconds.labels(each) for each in Endpoint}


def _result(fault: Fault | None) -> str:
    if fault is None:
        return OK
    return "refused" if fault.code == "invalid_grant" else "failed"


class UploadMetrics:
    """Counts chunks, their bytes and seconds, and restarted uploads."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._chunks = Counter(
            "scheduler_upload_chunks",
            "Chunks sent to TikTok, by the HTTP status of the answer",
            ("status",),
            registry=registry,
        )
        self._bytes = Counter(
            "scheduler_uploaded_bytes", "Bytes that TikTok took", registry=registry
        )
        self._seconds = Counter(
            "scheduler_upload_seconds",
            "Seconds spent sending chunks, over all uploads at a time",
            registry=registry,
        )
        self._repeats = Counter(
            "scheduler_upload_repeats",
            "Upload URLs asked for once more, because the former came to nothing",
            registry=registry,
        )
        for status in (201, 206, NO_ANSWER):  # zeros before anything happened
            self._chunks.labels(status)

    def chunk(self, answer: UploadAnswer, *, length: int, seconds: float) -> None:
        """Count a chunk, whether it was sent or failed."""
        self._chunks.labels(answer.status or NO_ANSWER).inc()
        self._seconds.inc(max(0.0, seconds))
        if answer.status in {201, 206}:
            self._bytes.inc(length)

    def repeat(self) -> None:
        """Count a request for another upload URL."""
        self._repeats.inc()
