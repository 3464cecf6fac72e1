"""An imagined TikTok: what only it and the wire know of an init."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from hypothesis import strategies as st

from app.domain.jobs.outcome import AuthLost, RateLimited, Rejected, Transient
from tests.domain.jobs.sample import A_CAP, A_FAULT


class Fate(Enum):
    """What became of an init, as only TikTok and the wire know."""

    NOTED = "about to be sent, perhaps by a worker that is slow and not dead"
    SENT = "on the wire: it may arrive or not"
    TAKEN = "taken, not done"
    PUBLISHED = "published"
    FAILED = "taken, and failed for good"
    NEVER = "never taken, and never will be"


MOVES: Final = {
    Fate.NOTED: {Fate.SENT, Fate.NEVER},
    Fate.SENT: {Fate.TAKEN, Fate.NEVER},
    Fate.TAKEN: {Fate.PUBLISHED, Fate.FAILED},
}
HARMLESS: Final = {Fate.FAILED, Fate.NEVER}


@dataclass
class Init:
    """One init that a worker decided to send."""

    publish_id: str
    fate: Fate = Fate.NOTED
    risk_accepted: bool = False  # a person sent another in spite of it


Failure = RateLimited | Transient | Rejected | AuthLost
failure_kinds = st.sampled_from([RateLimited, Transient, Rejected, AuthLost])


def failure(kind: type[Failure], *, in_flight: bool = False) -> Failure:
    """Make an outcome; the limit is the one that lets a job wait for days."""
    return kind(fault=A_CAP if kind is RateLimited else A_FAULT, in_flight=in_flight)
