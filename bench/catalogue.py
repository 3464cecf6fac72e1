"""Every benchmark, in the order in which they run."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Entry:
    """A module of this package and how much of it is run."""

    name: str
    question: str
    rounds: int = 5
    timeout_seconds: float = 180.0


CATALOGUE: Final = (
    Entry("claim_finish", "How many no-op jobs a second, beside job queues?", 5, 240.0),
    Entry(
        "claim_flat",
        "Does a claim cost the same with millions of rows behind it?",
        timeout_seconds=480,
    ),
    Entry(
        "growth",
        "Does any other read grow with the rows that there are?",
        rounds=3,
        timeout_seconds=1800.0,
    ),
    Entry("sqlite", "How many no-op jobs a second on an SQLite file?"),
    Entry(
        "http_cost",
        "What does one call cost, however many are in flight?",
        rounds=2,
        timeout_seconds=600.0,
    ),
    Entry(
        "attempt_cost",
        "What does a whole attempt cost beside a bare loop?",
        rounds=2,
        timeout_seconds=900.0,
    ),
    Entry(
        "race",
        "Posts by a job queue plus an HTTP client, and by the service?",
        rounds=3,
        timeout_seconds=900.0,
    ),
    Entry(
        "push",
        "What do uploads cost, in CPU and memory?",
        rounds=2,
        timeout_seconds=900.0,
    ),
    Entry("pacing", "What does keeping the quotas cost?", 3, 300.0),
    Entry("fair", "Does one account's crowd keep others waiting?", 3, 300.0),
    Entry(
        "strangers",
        "Can anybody hold other people's posts up?",
        rounds=1,
        timeout_seconds=600.0,
    ),
    Entry("post_jobs", "How many posts a second does the API take in?"),
    Entry("post_now", "How soon does Post Now reach TikTok?", 3, 420.0),
    Entry("start", "How soon does a cold process answer?"),
    Entry(
        "watchers",
        "What do thousands of streams cost, and how late are they?",
        rounds=1,
        timeout_seconds=420.0,
    ),
    Entry(
        "webhooks",
        "Do endpoints that hang keep others' events waiting?",
        rounds=1,
        timeout_seconds=300.0,
    ),
    Entry("memory", "How much memory, idle and per post in flight?", 2),
    Entry("workers", "What do more workers on one Postgres bring?", 2, 240.0),
    Entry(
        "scale",
        "All of TikTok's posts: where does one Postgres end?",
        rounds=1,
        timeout_seconds=300.0,
    ),
    Entry("ten_thousand", "Ten thousand posts due in one second?", 1, 270.0),
)
