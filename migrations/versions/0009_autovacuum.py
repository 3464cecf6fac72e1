"""autovacuum settings for tables that are written often."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# A post updates its row four times and leaves four dead ones. None is a HOT update, since
# the due index holds a column that changes. By default autovacuum waits until a fifth of
# the table is dead. With five million ended jobs that is a million rows, all of them at
# the end of the due index where each claim begins.
# https://www.postgresql.org/docs/current/routine-vacuuming.html#AUTOVACUUM
# A fill factor would not help: it makes room for HOT updates only.
QUEUES = {
    "autovacuum_vacuum_scale_factor": "0.01",
    "autovacuum_vacuum_threshold": "1000",
    "autovacuum_analyze_scale_factor": "0.01",
}
# No index holds a column that changes here, so with room on the page every update is HOT
# and leaves little to clean up.
# https://www.postgresql.org/docs/current/storage-hot.html
QUOTAS = {"fillfactor": "50"}
TABLES = {"schedule_jobs": QUEUES, "webhook_events": QUEUES, "account_quotas": QUOTAS}


def upgrade() -> None:
    """Apply; SQLite cleans up as it goes."""
    if op.get_context().dialect.name == "postgresql":
        for table, settings in TABLES.items():
            chosen = ", ".join(f"{name} = {value}" for name, value in settings.items())
            op.execute(f"ALTER TABLE {table} SET ({chosen})")


def downgrade() -> None:
    """Undo."""
    if op.get_context().dialect.name == "postgresql":
        for table, settings in TABLES.items():
            op.execute(f"ALTER TABLE {table} RESET ({', '.join(settings)})")
