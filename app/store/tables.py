"""Import every table module, so that the metadata is complete."""

from app.store import api_keys, runners
from app.store.accounts import tables as accounts
from app.store.db.metadata import metadata, set_options
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

set_options()
