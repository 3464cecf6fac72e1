"""how soon Postgres cleans up what is written often."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# A post writes its row four times on its way and leaves four dead ones, none of them by
# a HOT update: the due index holds what changes. The default waits for a fifth of the
# table to be dead, and that is a million rows where five millions are over, all of them
# at the very end of the due index where each claim begins.
# https://www.postgresql.org/docs/current/routine-vacuuming.html#AUTOVACUUM
# A fill factor would not help these: it makes room for HOT updates alone.
QUEUES = {
    "autovacuum_vacuum_scale_factor": "0.01",
    "autovacuum_vacuum_threshold": "1000",
    "autovacuum_analyze_scale_factor": "0.01",
}
# No index holds what changes here, so with room on the page every update is a HOT one
# and cleans up behind itself.
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
