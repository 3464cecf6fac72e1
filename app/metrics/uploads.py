"""Uploads of videos by this process."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter

from app.tiktok import UploadAnswer

NO_ANSWER: Final = "none"


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
