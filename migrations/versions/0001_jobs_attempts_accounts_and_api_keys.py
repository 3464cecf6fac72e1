"""jobs, attempts, accounts and API keys."""

import sqlalchemy as sa
from alembic import op

from app.store.db.types import Json, UtcDateTime

GUARDING_POST_NOW = sa.text(
    "post_now AND status <> 'posted'"
    " AND (status <> 'failed' OR init_sent_at IS NOT NULL)"
)

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "account_quotas",
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("open_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("uses", sa.Text(), nullable=False),
        sa.Column("idle_at", UtcDateTime(), nullable=False),
        sa.Column("rest_until", UtcDateTime(), nullable=True),
        sa.Column("rest_reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("platform", "open_id", name=op.f("pk_account_quotas")),
    )
    op.create_table(
        "accounts",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("open_id", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=True),
        sa.Column("username", sa.Text(), nullable=True),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reconnect_reason", sa.Text(), nullable=True),
        sa.Column("access_token", sa.Text(), nullable=False),
        sa.Column("refresh_token", sa.Text(), nullable=False),
        sa.Column("access_token_expires_at", UtcDateTime(), nullable=False),
        sa.Column("refresh_token_expires_at", UtcDateTime(), nullable=False),
        sa.Column("grant_version", sa.Integer(), nullable=False),
        sa.Column("refresh_lease", sa.Text(), nullable=True),
        sa.Column("refresh_lease_until", UtcDateTime(), nullable=True),
        sa.Column("connected_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "status IN ('active', 'reconnect_required')",
            name=op.f("ck_accounts_status"),
        ),
        sa.PrimaryKeyConstraint("project_id", "platform", name=op.f("pk_accounts")),
    )
    with op.batch_alter_table("accounts", schema=None) as batch_op:
        batch_op.create_index("ix_accounts_open_id", ["open_id"], unique=False)

    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=True),
        sa.Column("secret_sha256", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("secret_sha256", name=op.f("uq_api_keys_secret_sha256")),
    )
    op.create_table(
        "schedule_jobs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("asset_id", sa.Text(), nullable=False),
        sa.Column("asset_url", sa.Text(), nullable=False),
        sa.Column("post", Json, nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("scheduled_for", UtcDateTime(), nullable=False),
        sa.Column("post_now", sa.Boolean(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", UtcDateTime(), nullable=True),
        sa.Column("claim_token", sa.Text(), nullable=True),
        sa.Column("claimed_by", sa.Text(), nullable=True),
        sa.Column("claimed_at", UtcDateTime(), nullable=True),
        sa.Column("abandoned_by", sa.Text(), nullable=True),
        sa.Column("attempt_started_at", UtcDateTime(), nullable=True),
        sa.Column("attempt_number", sa.Integer(), nullable=False),
        sa.Column("init_sent_at", UtcDateTime(), nullable=True),
        sa.Column("publish_id", sa.Text(), nullable=True),
        sa.Column("publish_started_at", UtcDateTime(), nullable=True),
        sa.Column("media_token", sa.Text(), nullable=True),
        sa.Column("confirm_at", UtcDateTime(), nullable=True),
        sa.Column("confirm_tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failure_reason", sa.Text(), nullable=True),
        sa.Column("last_error", Json, nullable=True),
        sa.Column("waiting_for", sa.Text(), nullable=True),
        sa.Column("delivery", sa.Text(), nullable=True),
        sa.Column("post_id", sa.Text(), nullable=True),
        sa.Column("post_url", sa.Text(), nullable=True),
        sa.Column("posted_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "(status = 'failed') = (failure_reason IS NOT NULL)",
            name=op.f("ck_schedule_jobs_failed_has_a_reason"),
        ),
        sa.CheckConstraint(
            "(status = 'posted') = (delivery IS NOT NULL)",
            name=op.f("ck_schedule_jobs_posted_has_a_delivery"),
        ),
        sa.CheckConstraint(
            "(status = 'posted') = (posted_at IS NOT NULL)",
            name=op.f("ck_schedule_jobs_posted_has_a_time"),
        ),
        sa.CheckConstraint(
            "(status IN ('posted', 'failed')) = (next_attempt_at IS NULL)",
            name=op.f("ck_schedule_jobs_over_is_never_due"),
        ),
        sa.CheckConstraint(
            "claim_token IS NULL OR status = 'processing'",
            name=op.f("ck_schedule_jobs_claimed_is_processing"),
        ),
        sa.CheckConstraint(
            "confirm_at IS NULL OR status IN ('posted', 'failed')",
            name=op.f("ck_schedule_jobs_only_what_is_over_is_confirmed"),
        ),
        sa.CheckConstraint(
            "delivery IN ('published', 'inbox')", name=op.f("ck_schedule_jobs_delivery")
        ),
        sa.CheckConstraint(
            "failure_reason IN ('auth', 'permanent', 'max_attempts', 'unconfirmed')",
            name=op.f("ck_schedule_jobs_failure_reason"),
        ),
        sa.CheckConstraint(
            "status <> 'processing' OR claim_token IS NOT NULL OR init_sent_at IS NOT NULL",
            name=op.f("ck_schedule_jobs_processing_is_claimed_or_in_flight"),
        ),
        sa.CheckConstraint(
            "status IN ('scheduled', 'processing', 'retrying', 'posted', 'failed')",
            name=op.f("ck_schedule_jobs_status"),
        ),
        sa.CheckConstraint(
            "(claim_token IS NULL) = (claimed_at IS NULL)",
            name=op.f("ck_schedule_jobs_claim_is_whole"),
        ),
        sa.CheckConstraint(
            "attempts >= 0 AND attempts <= max_attempts AND max_attempts >= 1",
            name=op.f("ck_schedule_jobs_attempts"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule_jobs")),
        sa.UniqueConstraint(
            "idempotency_key", name=op.f("uq_schedule_jobs_idempotency_key")
        ),
    )
    with op.batch_alter_table("schedule_jobs", schema=None) as batch_op:
        batch_op.create_index(
            "ix_schedule_jobs_confirm",
            ["confirm_at"],
            unique=False,
            postgresql_where=sa.text("confirm_at IS NOT NULL"),
            sqlite_where=sa.text("confirm_at IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_schedule_jobs_due",
            ["next_attempt_at", "id"],
            unique=False,
            postgresql_where=sa.text("next_attempt_at IS NOT NULL"),
            sqlite_where=sa.text("next_attempt_at IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_schedule_jobs_project", ["project_id", "id"], unique=False
        )
        batch_op.create_index(
            "ix_schedule_jobs_publish_id",
            ["publish_id"],
            unique=False,
            postgresql_where=sa.text("publish_id IS NOT NULL"),
            sqlite_where=sa.text("publish_id IS NOT NULL"),
        )
        batch_op.create_index(
            "uq_schedule_jobs_guarding_post_now",
            ["project_id", "platform", "asset_id"],
            unique=True,
            postgresql_where=GUARDING_POST_NOW,
            sqlite_where=GUARDING_POST_NOW,
        )

    op.create_table(
        "tiktok_events",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("dedup_key", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("open_id", sa.Text(), nullable=False),
        sa.Column("publish_id", sa.Text(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("handled_at", UtcDateTime(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tiktok_events")),
        sa.UniqueConstraint("dedup_key", name=op.f("uq_tiktok_events_dedup_key")),
    )
    with op.batch_alter_table("tiktok_events", schema=None) as batch_op:
        batch_op.create_index(
            "ix_tiktok_events_open_id", ["open_id", "received_at"], unique=False
        )
        batch_op.create_index(
            "ix_tiktok_events_publish_id", ["publish_id"], unique=False
        )

    op.create_table(
        "job_attempts",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("error_class", sa.Text(), nullable=True),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("log_id", sa.Text(), nullable=True),
        sa.Column("publish_id", sa.Text(), nullable=True),
        sa.Column("next_attempt_at", UtcDateTime(), nullable=True),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["schedule_jobs.id"],
            name=op.f("fk_job_attempts_job_id_schedule_jobs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("job_id", "number", name=op.f("pk_job_attempts")),
    )
    op.create_table(
        "media_links",
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("asset_url", sa.Text(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("fetched_at", UtcDateTime(), nullable=True),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["schedule_jobs.id"],
            name=op.f("fk_media_links_job_id_schedule_jobs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_media_links")),
    )
    with op.batch_alter_table("media_links", schema=None) as batch_op:
        batch_op.create_index("ix_media_links_job_id", ["job_id"], unique=False)


def downgrade() -> None:
    """Undo."""
    with op.batch_alter_table("media_links", schema=None) as batch_op:
        batch_op.drop_index("ix_media_links_job_id")

    op.drop_table("media_links")
    op.drop_table("job_attempts")
    with op.batch_alter_table("tiktok_events", schema=None) as batch_op:
        batch_op.drop_index("ix_tiktok_events_publish_id")
        batch_op.drop_index("ix_tiktok_events_open_id")

    op.drop_table("tiktok_events")
    with op.batch_alter_table("schedule_jobs", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_schedule_jobs_guarding_post_now",
            postgresql_where=GUARDING_POST_NOW,
            sqlite_where=GUARDING_POST_NOW,
        )
        batch_op.drop_index(
            "ix_schedule_jobs_publish_id",
            postgresql_where=sa.text("publish_id IS NOT NULL"),
            sqlite_where=sa.text("publish_id IS NOT NULL"),
        )
        batch_op.drop_index("ix_schedule_jobs_project")
        batch_op.drop_index(
            "ix_schedule_jobs_due",
            postgresql_where=sa.text("next_attempt_at IS NOT NULL"),
            sqlite_where=sa.text("next_attempt_at IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_schedule_jobs_confirm",
            postgresql_where=sa.text("confirm_at IS NOT NULL"),
            sqlite_where=sa.text("confirm_at IS NOT NULL"),
        )

    op.drop_table("schedule_jobs")
    op.drop_table("api_keys")
    with op.batch_alter_table("accounts", schema=None) as batch_op:
        batch_op.drop_index("ix_accounts_open_id")

    op.drop_table("accounts")
    op.drop_table("account_quotas")
