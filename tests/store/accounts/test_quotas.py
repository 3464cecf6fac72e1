"""The quotas' table: races, rests, and long lines in few statements."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
from msgspec import structs
from sqlalchemy import event, select

from app.domain.accounts.account import Account
from app.domain.accounts.quota import (
    IDLE,
    QUEUE_TURNS,
    Permits,
    Quota,
    QuotaCall,
    turn_at,
)
from app.domain.jobs.job import JobStatus, WaitingFor
from app.store.accounts.account_store import AccountStore
from app.store.accounts.quotas import Owner, QuotaRow, QuotaStore
from app.store.db.engine import Database
from app.store.jobs.requests.changes import ChangeStore
from app.store.jobs.tables import schedule_jobs
from tests.support.accounts import VAULT, new_account, new_grant
from tests.support.factories import (
    NOW,
    PROCESSING,
    RETRYING,
    job_row,
    store_job,
    store_rows,
)
from tests.support.patience import PATIENCE_SECONDS

OWNER = Owner("tiktok", "open_1")
FIRST = NOW + timedelta(seconds=40)
LIMIT = 6
SECOND = timedelta(seconds=1)
INIT = QuotaCall.INIT


def taken(count: int = 1, *, over: Quota = IDLE) -> Quota:
    """Take some inits."""
    quota = over.take({INIT: Permits(count)}, {INIT: 1000}, NOW)
    assert quota is not None
    return quota


@pytest.fixture
def quotas(database: Database) -> QuotaStore:
    """Give the quotas' table."""
    return QuotaStore(database)


async def test_what_is_written_is_read(quotas: QuotaStore) -> None:
    """Times are stored to the microsecond, or permits would be free too early."""
    assert await quotas.load(OWNER) == QuotaRow()
    now = NOW + timedelta(microseconds=123_457)
    quota = IDLE.take({INIT: Permits(2), QuotaCall.STATUS: Permits()}, LIMITS, now)
    assert quota is not None
    assert await quotas.take_idle(OWNER, quota, now=now) == 1
    assert await quotas.load(OWNER) == QuotaRow(1, quota)


async def test_of_all_who_find_an_account_idle_one_takes_it(
    processes: list[Database],
) -> None:
    """The others learn that it is idle no more."""
    won = await asyncio.gather(
        *(QuotaStore(each).take_idle(OWNER, taken(), now=NOW) for each in processes)
    )
    assert sorted(won, key=str) == [1, None, None, None]


async def test_an_account_is_idle_once_its_last_use_is_over(quotas: QuotaStore) -> None:
    """An account is idle at the moment when its last use ends, and not before."""
    await quotas.take_idle(OWNER, taken(), now=NOW)
    idle_at = taken().idle_at()
    assert idle_at is not None
    early = idle_at - timedelta(microseconds=1)
    assert await quotas.take_idle(OWNER, taken(), now=early) is None
    assert await quotas.take_idle(OWNER, taken(), now=idle_at) == 2


async def test_of_all_who_read_the_same_version_one_writes(
    processes: list[Database],
) -> None:
    """Nobody's permits are written over."""
    stores = [QuotaStore(each) for each in processes]
    await stores[0].take_idle(OWNER, taken(), now=NOW)
    rows = await asyncio.gather(*(store.load(OWNER) for store in stores))
    written = await asyncio.gather(
        *(
            store.swap(OWNER, taken(over=row.quota), seen=row.version)
            for store, row in zip(stores, rows, strict=True)
        )
    )
    assert Counter(written) == {True: 1, False: 3}
    assert (await stores[0].load(OWNER)).quota.taken(INIT, NOW) == 2


async def test_a_rest_bars_and_keeps_what_is_taken(quotas: QuotaStore) -> None:
    """It may begin with nothing taken, and a taking does not end it."""
    until = NOW + timedelta(hours=1)
    await quotas.rest(OWNER, until=until, reason=WaitingFor.ACCOUNT_CAP)
    row = await quotas.load(OWNER)
    assert row == QuotaRow(1, IDLE, until, WaitingFor.ACCOUNT_CAP)
    assert await quotas.take_idle(OWNER, taken(), now=NOW) is None
    assert await quotas.swap(OWNER, taken(), seen=1)
    assert await quotas.load(OWNER) == QuotaRow(
        2, taken(), until, WaitingFor.ACCOUNT_CAP
    )
    assert await quotas.take_idle(OWNER, taken(), now=until) == 3


async def test_due_jobs_get_their_turns_by_their_time(
    database: Database, quotas: QuotaStore
) -> None:
    """As many as the limit for each turn; what is too far off waits for the last."""
    count = LIMIT * (QUEUE_TURNS + 2)
    rows = [
        job_row(scheduled_for=NOW - timedelta(seconds=each), next_attempt_at=NOW)
        for each in range(count)
    ]
    await store_rows(database, rows)
    assert await _assign_turns(quotas) == 0
    turns = await _turns(database)
    wanted = [turn_at(FIRST, permit, LIMIT) for permit in range(count)]
    assert [turns[row["id"]] for row in reversed(rows)] == wanted
    changes = await ChangeStore(database).since(NOW, {"proj_1"}, limit=count + 1)
    assert len(changes) == count


async def test_jobs_stand_behind_who_waits_and_who_runs(
    database: Database, quotas: QuotaStore
) -> None:
    """Turns that are given out stay as they are, and fill up first."""
    for _ in range(2):
        await store_job(database, waiting_for=WaitingFor.QUOTA, next_attempt_at=FIRST)
        await store_job(database, PROCESSING)
    due = [await store_job(database, RETRYING) for _ in range(3)]
    assert await _assign_turns(quotas) == 2
    turns = await _turns(database)
    second = turn_at(FIRST, LIMIT, LIMIT)
    assert Counter(turns[job.id] for job in due) == {FIRST: 2, second: 1}


async def test_a_turn_that_is_full_stays_as_it_is(
    database: Database, quotas: QuotaStore
) -> None:
    """Who has a permit in it keeps it, and the next get the next turn."""
    early = [
        await store_job(database, waiting_for=WaitingFor.QUOTA, next_attempt_at=FIRST)
        for _ in range(LIMIT)
    ]
    due = await store_job(database)
    assert await _assign_turns(quotas) == LIMIT
    turns = await _turns(database)
    assert {turns[job.id] for job in early} == {FIRST}
    assert turns[due.id] == turn_at(FIRST, LIMIT, LIMIT)


async def test_only_what_is_due_and_could_send_an_init_gets_a_turn(
    database: Database, quotas: QuotaStore
) -> None:
    """Not another project's, not a later one, not what TikTok has."""
    others = [
        await store_job(database, project_id="proj_2"),
        await store_job(database, next_attempt_at=FIRST),
        await store_job(database, RETRYING, init_sent_at=NOW, publish_id="pub_1"),
        await store_job(database, JobStatus.POSTED),
    ]
    await _assign_turns(quotas)
    turns = await _turns(database)
    assert [turns[job.id] for job in others] == [job.next_attempt_at for job in others]


async def test_no_turn_is_later_than_a_jobs_deadline(
    database: Database, quotas: QuotaStore
) -> None:
    """A job that cannot get a permit in time ends missed then, not minutes later."""
    second = turn_at(FIRST, LIMIT, LIMIT)
    for each in range(LIMIT):
        await store_job(database, scheduled_for=NOW - timedelta(minutes=each + 1))
    by = {
        publish_by: (await store_job(database, publish_by=publish_by)).id
        for publish_by in (FIRST - SECOND, FIRST + SECOND, second + SECOND)
    }
    await _assign_turns(quotas)
    turns = await _turns(database)
    wanted = [FIRST, FIRST + SECOND, second]
    assert [turns[job_id] for job_id in by.values()] == wanted


async def test_a_long_queue_costs_few_statements(
    database: Database, quotas: QuotaStore
) -> None:
    """Ten thousand posts of one account get their turns like two."""
    await store_rows(database, [job_row() for _ in range(10_000)])
    statements = list[str]()
    engine = database.engine.sync_engine
    event.listen(
        engine, "before_cursor_execute", lambda *call: statements.append(call[2])
    )
    await _assign_turns(quotas)
    assert len([each for each in statements if "schedule_jobs" in each]) == 12
    turns = Counter((await _turns(database)).values())
    assert (
        turns.pop(turn_at(FIRST, 10_000, LIMIT)) == 10_000 - (QUEUE_TURNS - 1) * LIMIT
    )
    assert set(turns.values()) == {LIMIT}


async def test_what_another_worker_postpones_is_left_to_it(postgres_url: str) -> None:
    """Two workers with one account never wait for each other's rows."""
    here, there = Database(postgres_url), Database(postgres_url)
    held, free = [await store_job(here) for _ in range(2)]
    lock = select(schedule_jobs).where(schedule_jobs.c.id == held.id).with_for_update()
    async with there.write() as connection, asyncio.timeout(PATIENCE_SECONDS):
        await connection.execute(lock)
        await QuotaStore(here).put_off_due(
            "proj_1", "tiktok", until=FIRST, first=FIRST, now=NOW
        )
    turns = await _turns(here)
    assert (turns[held.id], turns[free.id]) == (held.next_attempt_at, FIRST)
    await asyncio.gather(here.close(), there.close())


@pytest.mark.parametrize("confirms", ["a refresh", "a PUT"])
async def test_a_confirmed_open_id_keeps_what_it_has_used(
    database: Database, quotas: QuotaStore, confirms: str
) -> None:
    """It is counted under another key from then on, and TikTok counts on."""
    accounts = AccountStore(database, VAULT)
    claimed, _ = await accounts.put(new_account(), now=NOW)
    claimant = Owner("tiktok", claimed.quota_owner)
    await quotas.take_idle(claimant, taken(LIMIT), now=NOW)
    account: Account | None
    if confirms == "a PUT":
        certain = structs.replace(new_account(), is_verified=True)
        account, _ = await accounts.put(certain, now=NOW)
    else:
        account = await accounts.save_refreshed(
            claimed, new_grant("two"), now=NOW, is_verified=True
        )
    assert account is not None
    person = Owner("tiktok", account.quota_owner)
    assert person != claimant
    assert (await quotas.load(person)).quota == taken(LIMIT)


@pytest.mark.parametrize(("hours_ago", "left"), [(0, 1), (1, 3)])
async def test_only_what_a_person_uses_no_more_is_replaced(
    database: Database, quotas: QuotaStore, hours_ago: int, left: int
) -> None:
    """Another project may have been confirmed before, and post for the person now."""
    accounts, person = AccountStore(database, VAULT), Owner("tiktok", "open_1")
    claimed, _ = await accounts.put(new_account(), now=NOW)
    claimant = Owner("tiktok", claimed.quota_owner)
    await quotas.take_idle(claimant, taken(3), now=NOW)
    before = NOW - timedelta(hours=hours_ago)
    earlier = IDLE.take({INIT: Permits(1)}, {INIT: 1}, before)
    assert earlier is not None
    await quotas.take_idle(person, earlier, now=before)
    await accounts.save_refreshed(claimed, new_grant("two"), now=NOW, is_verified=True)
    assert (await quotas.load(person)).quota.taken(INIT, NOW) == left


LIMITS = dict.fromkeys(QuotaCall, 100)


async def _assign_turns(quotas: QuotaStore) -> int:
    assigned = await quotas.assign_turns(
        "proj_1", "tiktok", first=FIRST, limit=LIMIT, now=NOW
    )
    if (until := assigned.put_off_rest_to) is not None:
        await quotas.put_off_due("proj_1", "tiktok", until=until, first=FIRST, now=NOW)
    return assigned.already_waiting


async def _turns(database: Database) -> dict[str, object]:
    rows = select(schedule_jobs.c.id, schedule_jobs.c.next_attempt_at)
    async with database.read() as connection:
        return {row.id: row.next_attempt_at for row in await connection.execute(rows)}
