"""Every table of the service: each stands beside its duty, and is imported here."""

from app.store import api_keys, runners
from app.store.accounts import tables as accounts
from app.store.db.metadata import metadata
from app.store.jobs import tables as jobs
from app.store.retention import pruning, tombstones
from app.store.webhooks import tables as webhooks

__all__ = [
    "accounts",
    "api_keys",
    "jobs",
    "metadata",
    "pruning",
    "runners",
    "tombstones",
    "webhooks",
]
