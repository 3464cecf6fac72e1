"""What is left of records that are gone; see ``app/store/retention/pruning.py``."""

from sqlalchemy import Column, Index, Table, Text

from app.store.db.tables import metadata
from app.store.db.types import UtcDateTime

# Up to when records may be gone, one row for each kind of them.
pruned = Table(
    "pruned",
    metadata,
    Column("what", Text, primary_key=True),
    Column("before", UtcDateTime, nullable=False),
)

# TikTok may tell of a publish long after its job is gone, for instance when a draft is
# posted at last: it must not be taken for that of a job that looks for its own.
past_publishes = Table(
    "past_publishes",
    metadata,
    Column("publish_id", Text, primary_key=True),
)

# Inits that were never answered, of jobs that a person removed since. TikTok may tell
# of such a one for some days, and it must not be taken for another job's.
lost_inits = Table(
    "lost_inits",
    metadata,
    Column("job_id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("platform", Text, nullable=False),
    Column("left_at", UtcDateTime, nullable=False),
    Index("ix_lost_inits_project", "project_id", "left_at"),
)
