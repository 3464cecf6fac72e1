"""How long the records of ended jobs are kept."""

from datetime import datetime, timedelta
from typing import Final

LEAST_KEPT: Final = timedelta(days=7)
"""The shortest retention that can be set.

TikTok retries an event for 72 hours, and a post's status is worth asking for two days:
until then a record may still be corrected.
https://developers.tiktok.com/doc/webhooks-overview
"""

CLOCKS_APART: Final = timedelta(days=1)
"""A generous bound on how far the clocks of two machines differ."""


def may_be_pruned(scheduled_for: datetime, *, now: datetime) -> bool:
    """Tell whether the record of a job with that time may have been deleted.

    For all others nobody needs to look up how far pruning has got.
    """
    return scheduled_for < now - LEAST_KEPT + CLOCKS_APART
