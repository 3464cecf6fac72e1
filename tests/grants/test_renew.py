"""A refused token is traded once, whoever holds it, and what comes back is kept."""

import asyncio
import logging
from contextlib import suppress
from datetime import datetime, timedelta

import pytest
from structlog.testing import capture_logs

from app.domain.accounts.account import Account, AccountStatus
from app.domain.jobs.job import ErrorClass
from app.domain.jobs.outcome import Fault
from app.grants.grants import Access, Grants
from app.machine.clock import SystemClock
from app.store.accounts.account_store import AccountStore
from app.store.db.engine import Database
from app.store.db.migrate import upgrade
from tests.grants.conftest import StepClock
from tests.grants.token_endpoint import TokenEndpoint, refused
from tests.support.accounts import NAME, NOW, VAULT, new_account, new_grant
from tests.support.postgres import PostgresServer

REFUSED = Fault(error_class=ErrorClass.AUTH, code="access_token_invalid", message="no")


class PatientClock(SystemClock):
    """The real clock, which tells when something was tried in vain."""

    def __init__(self) -> None:
        self.slept = asyncio.Event()

    def now(self) -> datetime:
        """Stand still, so that nothing ends."""
        return NOW

    async def sleep(self, seconds: float) -> None:
        """Wait a moment."""
        self.slept.set()
        await super().sleep(min(seconds, 0.05))


async def _connected(accounts: AccountStore) -> Account:
    account, _ = await accounts.put(new_account(), now=NOW)
    return account


async def _access(grants: Grants) -> Access:
    access = await grants.current(*NAME)
    assert isinstance(access, Access), access
    return access


async def test_fifty_jobs_on_two_workers_refresh_once(
    workers: list[Grants], accounts: AccountStore, tiktok: TokenEndpoint
) -> None:
    """One refresh for one refused token; all get the same new one."""
    await _connected(accounts)
    refused_access = await _access(workers[0])
    tiktok.gate.clear()
    asking = [
        asyncio.create_task(workers[n % 2].renew(refused_access)) for n in range(50)
    ]
    await tiktok.asked.wait()
    tiktok.gate.set()
    renewed = set(await asyncio.gather(*asking))
    assert tiktok.used == ["rft.one"]
    assert renewed == {await _access(workers[1])}
    assert refused_access not in renewed


async def test_a_newer_pair_is_handed_out_without_a_call(
    workers: list[Grants], accounts: AccountStore, tiktok: TokenEndpoint
) -> None:
    """A job that was polling with the old token finds what another one traded."""
    await _connected(accounts)
    old = await _access(workers[0])
    new = await workers[1].renew(old)
    assert await workers[0].renew(old) == new
    assert len(tiktok.used) == 1


async def test_each_refused_version_is_traded(
    grants: Grants, accounts: AccountStore, tiktok: TokenEndpoint
) -> None:
    """A new token that is refused as well is traded again, with its own partner."""
    await _connected(accounts)
    first = await grants.renew(await _access(grants))
    assert isinstance(first, Access)
    second = await grants.renew(first)
    assert isinstance(second, Access)
    assert second.version > first.version
    assert tiktok.used == ["rft.one", "rft.new1"]


async def test_a_refresh_survives_who_asked_for_it(
    grants: Grants, accounts: AccountStore, tiktok: TokenEndpoint
) -> None:
    """A cancelled attempt takes neither the answer nor the others' wait with it."""
    await _connected(accounts)
    old = await _access(grants)
    tiktok.gate.clear()
    cancelled, waiting = (asyncio.create_task(grants.renew(old)) for _ in range(2))
    await tiktok.asked.wait()
    cancelled.cancel()
    with suppress(asyncio.CancelledError):
        await cancelled
    tiktok.gate.set()
    assert await waiting == await _access(grants)
    assert len(tiktok.used) == 1


async def test_closing_waits_for_the_answer(
    grants: Grants, accounts: AccountStore, tiktok: TokenEndpoint
) -> None:
    """A process that stops stores the pair it asked for, though nobody waits for it."""
    await _connected(accounts)
    tiktok.gate.clear()
    asking = asyncio.create_task(grants.renew(await _access(grants)))
    await tiktok.asked.wait()
    asking.cancel()
    closing = asyncio.create_task(grants.close())
    ended, _ = await asyncio.wait({closing}, timeout=0.05)
    assert not ended, "it ends no sooner than the refresh"
    tiktok.gate.set()
    await closing
    assert (await accounts.get(*NAME)).grant.access_token == "act.new1"
    with suppress(asyncio.CancelledError):
        await asking


async def test_a_dead_workers_lease_is_waited_out(
    grants: Grants, accounts: AccountStore, tiktok: TokenEndpoint, clock: StepClock
) -> None:
    """Who died while refreshing holds the account up for the lease, no longer."""
    account = await _connected(accounts)
    await accounts.acquire_refresh_lease(
        *NAME,
        grant_version=account.grant_version,
        token="dead",
        now=NOW,
        until=NOW + timedelta(seconds=30),
    )
    renewed = await grants.renew(await _access(grants))
    assert isinstance(renewed, Access)
    assert timedelta(seconds=30) <= clock.at - NOW < timedelta(seconds=31)
    assert tiktok.used == ["rft.one"]


async def test_waiting_for_another_worker_has_an_end(
    grants: Grants, accounts: AccountStore, tiktok: TokenEndpoint, clock: StepClock
) -> None:
    """If the lease never comes free the job is told to come later, without a call."""
    account = await _connected(accounts)
    await accounts.acquire_refresh_lease(
        *NAME,
        grant_version=account.grant_version,
        token="another",
        now=NOW,
        until=NOW + timedelta(minutes=1),
    )
    fault = await grants.renew(await _access(grants))
    assert isinstance(fault, Fault)
    assert (fault.error_class, fault.code) == (ErrorClass.TRANSIENT, "refresh_busy")
    assert clock.at - NOW <= timedelta(seconds=31)
    assert tiktok.used == []


async def test_a_lease_of_a_clock_that_was_ahead_is_free(
    grants: Grants, accounts: AccountStore, tiktok: TokenEndpoint
) -> None:
    """Nobody waits a day for a worker whose clock was a day ahead."""
    account = await _connected(accounts)
    await accounts.acquire_refresh_lease(
        *NAME,
        grant_version=account.grant_version,
        token="gone",
        now=NOW,
        until=NOW + timedelta(days=1),
    )
    assert isinstance(await grants.renew(await _access(grants)), Access)
    assert tiktok.used == ["rft.one"]


async def test_a_failed_refresh_gives_the_lease_back(
    workers: list[Grants],
    accounts: AccountStore,
    tiktok: TokenEndpoint,
    clock: StepClock,
) -> None:
    """The next try, by whichever worker, need not wait for the lease to run out."""
    await _connected(accounts)
    old = await _access(workers[0])
    tiktok.replies.append(refused("internal_error", 500))
    assert isinstance(await workers[0].renew(old), Fault)
    assert isinstance(await workers[1].renew(old), Access)
    assert clock.at == NOW


async def test_a_verdict_on_an_old_pair_is_dropped(
    grants: Grants, accounts: AccountStore, tiktok: TokenEndpoint
) -> None:
    """invalid_grant for a pair that was replaced meanwhile: the newer one is used."""
    account = await _connected(accounts)
    old = await _access(grants)
    tiktok.gate.clear()
    tiktok.replies.append(refused("invalid_grant"))
    asking = asyncio.create_task(grants.renew(old))
    await tiktok.asked.wait()
    await accounts.save_refreshed(account, new_grant("late"), now=NOW)
    tiktok.gate.set()
    renewed = await asking
    assert isinstance(renewed, Access)
    assert renewed.token == "act.late"
    assert (await accounts.get(*NAME)).status is AccountStatus.ACTIVE


async def test_an_account_removed_meanwhile_stays_removed(
    grants: Grants, accounts: AccountStore, tiktok: TokenEndpoint
) -> None:
    """A refresh that comes back to no row brings none into being."""
    await _connected(accounts)
    tiktok.gate.clear()
    asking = asyncio.create_task(grants.renew(await _access(grants)))
    await tiktok.asked.wait()
    await accounts.delete(*NAME, now=NOW)
    tiktok.gate.set()
    fault = await asking
    assert isinstance(fault, Fault)
    assert fault.code == "account_not_connected"


@pytest.mark.parametrize("code", ["access_token_invalid", "scope_not_authorized"])
async def test_a_lost_account_is_marked_with_tiktoks_word(
    code: str, grants: Grants, accounts: AccountStore
) -> None:
    """The reason is the fault's code, and the project is asked to connect again."""
    await _connected(accounts)
    fault = Fault(error_class=ErrorClass.AUTH, code=code, message="")
    await grants.lost(await _access(grants), fault)
    stored = await accounts.get(*NAME)
    assert stored.status is AccountStatus.RECONNECT_REQUIRED
    assert stored.reconnect_reason == code
    usable = code == "scope_not_authorized"
    assert isinstance(await grants.current(*NAME), Access if usable else Fault)


async def test_a_late_loss_spares_a_newer_pair(
    grants: Grants, accounts: AccountStore, tiktok: TokenEndpoint
) -> None:
    """A job that failed with an old token cannot disconnect what came after it."""
    await _connected(accounts)
    old = await _access(grants)
    await grants.renew(old)
    await grants.lost(old, REFUSED)
    assert (await accounts.get(*NAME)).status is AccountStatus.ACTIVE


async def test_no_token_reaches_the_log(
    grants: Grants,
    accounts: AccountStore,
    tiktok: TokenEndpoint,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A failed refresh is logged with the project and the code, and nothing secret."""
    caplog.set_level(logging.DEBUG)
    await _connected(accounts)
    tiktok.replies.append(refused("invalid_grant"))
    with capture_logs() as logs:
        await grants.renew(await _access(grants))
    assert [(line["project_id"], line["code"]) for line in logs] == [
        ("proj_1", "invalid_grant")
    ]
    for secret in ("act.one", "rft.one", "secret"):
        assert secret not in f"{logs} {caplog.text}"


async def test_a_database_outage_does_not_cost_the_new_pair(
    postgres_server: PostgresServer, tiktok: TokenEndpoint
) -> None:
    """TikTok has ended the old pair: the new one is kept until it can be stored."""
    await asyncio.to_thread(upgrade, postgres_server.url)
    database = Database(postgres_server.url)
    accounts = AccountStore(database, VAULT)
    clock = PatientClock()
    grants = Grants(accounts=accounts, tiktok=tiktok.client(), clock=clock)
    await _connected(accounts)
    old = await _access(grants)
    tiktok.gate.clear()
    asking = asyncio.create_task(grants.renew(old))
    await tiktok.asked.wait()
    await asyncio.to_thread(postgres_server.stop)
    tiktok.gate.set()
    await clock.slept.wait()
    assert not asking.done()
    await asyncio.to_thread(postgres_server.start)
    renewed = await asking
    assert isinstance(renewed, Access)
    assert (await accounts.get(*NAME)).grant.access_token == renewed.token == "act.new1"
    await database.close()
