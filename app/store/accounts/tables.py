"""Connected accounts, sign-ins under way, and what each account used of its quota."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    false,
    text,
)

from app.domain.accounts.account import SCOPE_REASONS, AccountStatus
from app.store.db.metadata import ROOMY, metadata, one_of, options, partly
from app.store.db.types import UtcDateTime

# A literal, so that the planner finds the partial index.
NEEDS_RECONNECT = text("status = 'reconnect_required'")

# Accounts whose grant can still be used, at least for some of its scopes.
USABLE = text(
    f"(status = '{AccountStatus.ACTIVE}' OR reconnect_reason IN"
    f" ({', '.join(repr(each) for each in sorted(SCOPE_REASONS))}))"
)

# TikTok's access tokens live for a day, but who hands in a pair may say otherwise.
_LIVES_LONG = {
    "postgresql": "access_token_expires_at - updated_at > interval '30 days'",
    "sqlite": "julianday(access_token_expires_at) - julianday(updated_at) > 30",
}
LIVES_LONG = {
    dialect: text(f"{USABLE} AND {lives}") for dialect, lives in _LIVES_LONG.items()
}
"""Match usable accounts whose access token was to live for more than thirty days."""

accounts = Table(
    "accounts",
    metadata,
    Column("project_id", Text, nullable=False),
    Column("platform", Text, nullable=False),
    Column("open_id", Text, nullable=False),
    Column("display_name", Text),
    Column("username", Text),
    Column("scopes", Text, nullable=False),  # comma list, as TikTok writes it
    Column("status", Text, nullable=False),
    Column("reconnect_reason", Text),
    Column("access_token", Text, nullable=False),  # encrypted, bound to this row
    Column("refresh_token", Text, nullable=False),  # likewise
    Column("access_token_expires_at", UtcDateTime, nullable=False),
    Column("refresh_token_expires_at", UtcDateTime, nullable=False),
    Column("grant_version", Integer, nullable=False),
    # One refresh at a time over all workers: a lease, since no lock spans a call.
    Column("refresh_lease", Text),
    Column("refresh_lease_until", UtcDateTime),
    Column("connected_at", UtcDateTime, nullable=False),
    # TikTok reported that it removed our access, and why: to be checked with TikTok.
    Column("removal_reason", Text),
    Column("removal_check_at", UtcDateTime),
    # When TikTok itself named the tokens' owner; NULL: a caller claimed it.
    Column("verified_at", UtcDateTime),
    Column("updated_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("project_id", "platform"),
    CheckConstraint(one_of("status", AccountStatus), name="status"),
    Index("ix_accounts_open_id", "open_id"),
    Index(
        "ix_accounts_removal_check",
        "removal_check_at",
        **partly("removal_check_at IS NOT NULL"),
    ),
    Index("ix_accounts_reconnect_required", "project_id", **partly(NEEDS_RECONNECT)),
    # Whose pair is to be refreshed next, and the few whose pair grows old first.
    Index("ix_accounts_expiry", "access_token_expires_at", **partly(USABLE)),
    Index(
        "ix_accounts_lives_long",
        "updated_at",
        **options(
            postgresql_where=LIVES_LONG["postgresql"],
            sqlite_where=LIVES_LONG["sqlite"],
        ),
    ),
)

# Persons that a project had connected before: their posts still belong to them.
former_accounts = Table(
    "former_accounts",
    metadata,
    Column("platform", Text, nullable=False),
    Column("open_id", Text, nullable=False),
    Column("project_id", Text, nullable=False),
    PrimaryKeyConstraint("platform", "open_id", "project_id"),
)

oauth_states = Table(
    "oauth_states",
    metadata,
    # A hash: whoever reads the table cannot finish somebody's sign-in.
    Column("state_sha256", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("platform", Text, nullable=False),
    Column("redirect_to", Text),
    Column("code_verifier", Text),  # encrypted, bound to this row
    Column("bound", Boolean, nullable=False, server_default=false()),
    Column("disable_auto_auth", Boolean, nullable=False, server_default=false()),
    Column("expires_at", UtcDateTime, nullable=False),
    Index("ix_oauth_states_expires_at", "expires_at"),
)

account_quotas = Table(
    "account_quotas",
    metadata,
    Column("platform", Text, nullable=False),
    Column("open_id", Text, nullable=False),  # "*": the app as a whole
    Column("version", Integer, nullable=False),  # compare and swap
    Column("uses", Text, nullable=False),  # domain.accounts.quota.Quota as JSON
    Column("idle_at", UtcDateTime, nullable=False),  # then it may be overwritten
    Column("rest_until", UtcDateTime),
    Column("rest_reason", Text),
    PrimaryKeyConstraint("platform", "open_id"),
    **options(postgresql_with=ROOMY),
)
