"""How long the records of what is over are kept, and what follows from their end."""

from datetime import datetime, timedelta
from typing import Final

LEAST_KEPT: Final = timedelta(days=7)
"""The shortest retention that can be chosen.

TikTok delivers an event for 72 hours, and asks to be asked about a post for two days:
until then a record may still be corrected.
https://developers.tiktok.com/doc/webhooks-overview
"""

CLOCKS_APART: Final = timedelta(days=1)
"""How far the clocks of two machines may differ, generously."""


def may_be_pruned(scheduled_for: datetime, *, now: datetime) -> bool:
    """Tell whether a job of that time could have had a record that is gone.

    For all others nobody needs to look up how far the pruning went.
    """
    return scheduled_for < now - LEAST_KEPT + CLOCKS_APART
