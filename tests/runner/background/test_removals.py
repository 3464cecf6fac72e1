"""TikTok tells that it removed our access: checked, and kept with its reason."""

import json
from datetime import timedelta
from typing import Any

import pytest

from app.domain.accounts.account import AccountStatus
from app.runner.background.removal_checker import RemovalChecker
from app.store.jobs.tiktok_events import TikTokEventStore
from app.tiktok.signed_events import read_event
from tests.runner.stage import Stage, Worker


@pytest.fixture
async def worker(stage: Stage) -> Worker:
    """Give a worker with a connected project."""
    worker = await stage.worker()
    await stage.connect(worker, "proj_1", "open_A")
    return worker


async def removed(stage: Stage, worker: Worker, reason: Any) -> None:  # noqa: ANN401
    """Let TikTok's event come, and the check that it asks for."""
    now = stage.clock.now()
    body = json.dumps(
        {
            "event": "authorization.removed",
            "user_openid": "open_A",
            "create_time": int(now.timestamp()),
            "content": json.dumps({"reason": reason}),
        }
    )
    store = TikTokEventStore(worker.container.database)
    heard = await store.add(read_event(body.encode()), created_at=now, now=now)
    assert heard.accounts == 1
    checker = RemovalChecker(
        accounts=worker.container.accounts,
        grants=worker.container.grants,
        tiktok=worker.container.tiktok,
        clock=stage.clock,
    )
    await checker.run_due(limit=9)


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        (0, "auth_removed"),
        (1, "removed_by_person"),
        (2, "account_deleted"),
        (3, "age_changed"),
        (4, "account_banned"),
        (5, "revoked_by_developer"),
        (99, "auth_removed"),
    ],
)
async def test_a_lost_account_keeps_why(
    stage: Stage, worker: Worker, reason: int, kept: str
) -> None:
    """TikTok refuses the token: then it is so, and its own reason is shown."""
    stage.fault("any", "error", rule={"times": 99}, code="access_token_invalid")
    stage.fault("token", "error", rule={"times": 99}, code="invalid_grant")
    await removed(stage, worker, reason)
    account = await worker.container.accounts.get("proj_1", "tiktok")
    assert account.status is AccountStatus.RECONNECT_REQUIRED
    assert account.reconnect_reason == kept


async def test_a_grant_that_works_survives(stage: Stage, worker: Worker) -> None:
    """The event was about an older grant; nothing is asked a second time."""
    await removed(stage, worker, 1)
    accounts = worker.container.accounts
    assert (await accounts.get("proj_1", "tiktok")).usable
    later = stage.clock.now() + timedelta(hours=1)
    assert await accounts.claim_removals(now=later, until=later, limit=9) == ()
