"""The table refuses what no job can be, whoever writes it."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from app.store.db.engine import Database
from app.store.jobs.tables import schedule_jobs
from tests.support.factories import (
    FAILED,
    NOW,
    POSTED,
    PROCESSING,
    RETRYING,
    SCHEDULED,
    abandoned,
    handed_on,
    job_row,
    store_job,
    store_row,
    unconfirmed,
)

Row = dict[str, Any]

WAITING = [job_row(SCHEDULED), job_row(RETRYING)]
RUNNING = [job_row(PROCESSING), handed_on()]
OVER = [job_row(POSTED), job_row(FAILED)]
NOT_POSTED = [*WAITING, *RUNNING, job_row(FAILED)]
NOT_FAILED = [*WAITING, *RUNNING, job_row(POSTED)]
A_CLAIM: Row = {"claim_token": "token", "claimed_by": "worker", "claimed_at": NOW}

# Each breaks one rule and keeps all the others.
ILLEGAL: list[tuple[str, list[Row], Row]] = [
    ("status", WAITING, {"status": "done"}),
    ("failure_reason", [job_row(FAILED)], {"failure_reason": "bad luck"}),
    ("delivery", [job_row(POSTED)], {"delivery": "by mail"}),
    ("transfer", WAITING, {"transfer": "by mail"}),
    ("availability", [job_row(POSTED)], {"availability": "perhaps"}),
    ("attempts", WAITING, {"attempts": -1}),
    ("attempts", WAITING, {"attempts": 6, "max_attempts": 5}),
    ("attempts", WAITING, {"attempts": 0, "max_attempts": 0}),
    ("over_is_never_due", OVER, {"next_attempt_at": NOW}),
    ("over_is_never_due", [*WAITING, *RUNNING], {"next_attempt_at": None}),
    ("claim_is_whole", [job_row(PROCESSING)], {"claimed_at": None}),
    ("claim_is_whole", [handed_on()], {"claimed_at": NOW}),
    ("claimed_is_processing", [*WAITING, *OVER], A_CLAIM),
    ("processing_is_claimed_or_in_flight", [handed_on()], {"init_sent_at": None}),
    ("posted_has_a_time", [job_row(POSTED)], {"posted_at": None}),
    ("posted_has_a_time", NOT_POSTED, {"posted_at": NOW}),
    ("posted_has_a_delivery", [job_row(POSTED)], {"delivery": None}),
    ("posted_has_a_delivery", NOT_POSTED, {"delivery": "published"}),
    ("failed_has_a_reason", [job_row(FAILED)], {"failure_reason": None}),
    ("failed_has_a_reason", NOT_FAILED, {"failure_reason": "auth"}),
    ("only_what_is_over_is_confirmed", [*WAITING, *RUNNING], {"confirm_at": NOW}),
]


@pytest.mark.parametrize(("rule", "rows", "broken"), ILLEGAL)
async def test_what_no_job_can_be_is_refused(
    database: Database, rule: str, rows: list[Row], broken: Row
) -> None:
    """By the rule that it breaks: a mistake of ours fails, it is never stored."""
    for row in rows:
        with pytest.raises(IntegrityError, match=f"ck_schedule_jobs_{rule}"):
            await store_row(database, row | broken)


async def test_every_rule_is_tested() -> None:
    """A new CHECK constraint asks for a row that breaks it."""
    rules = {
        str(constraint.name)
        for constraint in schedule_jobs.constraints
        if str(constraint.name).startswith("ck_")
    }
    assert rules == {f"ck_schedule_jobs_{rule}" for rule, _, _ in ILLEGAL}


async def test_what_a_job_can_be_is_stored(database: Database) -> None:
    """The rules leave every state of the life cycle open."""
    for row in [*WAITING, *RUNNING, *OVER, abandoned(), unconfirmed()]:
        assert (await store_row(database, row)).status == row["status"]


async def test_two_jobs_never_share_a_key(database: Database) -> None:
    """Not even if one is over: the same request always finds its job."""
    over = await store_job(database, POSTED)
    with pytest.raises(IntegrityError):
        await store_job(database, idempotency_key=over.idempotency_key)


@pytest.mark.parametrize("first", [{"status": PROCESSING}, {"status": FAILED}], ids=str)
async def test_two_post_nows_never_guard_one_asset(
    database: Database, first: Row
) -> None:
    """Of two that could both become a post, the second is refused."""
    columns: Row = {"asset_id": "asset_9", "post_now": True, "init_sent_at": NOW}
    await store_job(database, **columns | first)
    later = NOW + timedelta(seconds=1)
    with pytest.raises(IntegrityError):
        await store_job(
            database, asset_id="asset_9", post_now=True, scheduled_for=later
        )
