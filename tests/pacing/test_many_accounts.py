"""A process with posts of thousands of accounts in flight."""

from datetime import datetime

import pytest

from app.domain.jobs.outcome import PutOff
from app.pacing import pacer as module
from app.pacing.account_quota import AccountQuota
from app.store.db.engine import Database
from tests.pacing.pacers import CREATOR, HandClock, pacer, postponed, user

KEPT = 4
ACCOUNTS = 64


async def test_who_is_new_does_not_look_over_all_who_are_busy(
    database: Database, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Making room costs each account a few looks, however many are in flight."""
    monkeypatch.setattr(module, "_PRUNE_AT", KEPT)
    looks, busy = 0, AccountQuota.busy

    def counted(account_quota: AccountQuota, now: datetime) -> bool:
        nonlocal looks
        looks += 1
        return busy(account_quota, now)

    monkeypatch.setattr(AccountQuota, "busy", counted)
    one = pacer(database, clock)
    for number in range(ACCOUNTS):
        assert not isinstance(await postponed(one, user(str(number)), CREATOR), PutOff)
    assert KEPT <= looks <= 2 * ACCOUNTS
