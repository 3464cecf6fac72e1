"""Whether TikTok visibly goes on with a pull: then time is no failure.

TikTok pulls at 100 Mbit/s at most, so that 4 GB take longer than any poll deadline.
https://developers.tiktok.com/doc/content-posting-api-media-transfer-guide
"""

from datetime import datetime, timedelta
from typing import Final

from app.tiktok import PublishStatus

LONGEST_PULL: Final = timedelta(hours=1)
"""TikTok gives a pull up after that time."""


class PullProgress:
    """What status calls told of ``downloaded_bytes``."""

    def __init__(self) -> None:
        self._most: int | None = None
        self._grew_at: datetime | None = None

    def note(self, status: PublishStatus, now: datetime) -> None:
        """Take in an answer; the first one is only what others compare with."""
        count = status.downloaded_bytes
        if count is None:
            return
        if self._most is not None and count > self._most:
            self._grew_at = now
        self._most = max(count, self._most or 0)

    def goes_on(self, now: datetime, *, within: timedelta) -> bool:
        """Tell whether it grew of late."""
        return self._grew_at is not None and now - self._grew_at <= within
