"""One account's turns, as one or several processes take them."""

import asyncio
from datetime import datetime, timedelta

import pytest

from app.domain.accounts.quota import ON_ITS_WAY, QUEUE_TURNS, SKEW, WINDOW, QuotaCall
from app.domain.jobs.job import WaitingFor
from app.domain.jobs.outcome import PutOff
from app.pacing.pacer import Pacer
from app.store.accounts.quotas import QuotaStore
from app.store.db.engine import Database
from app.store.retention.pruning import RetentionStore
from tests.pacing.pacers import (
    CREATOR,
    INIT,
    LIMITS,
    STATUS,
    HandClock,
    most_in_a_window,
    pacer,
    postponed,
    user,
)
from tests.support.factories import NOW, job_row, store_rows


async def test_a_lone_post_costs_one_statement(
    database: Database, clock: HandClock
) -> None:
    """A post takes its permits for init and polls with that of creator_info."""
    one = pacer(database, clock)
    assert await postponed(one, user(), CREATOR) is None
    row = await QuotaStore(database).load(user().owner)
    assert row.version == 1
    assert await postponed(one, user(), INIT) is None
    for _ in range(12):
        clock.go_on(4.9)
        assert await postponed(one, user(), STATUS) is None
    assert await QuotaStore(database).load(user().owner) == row


async def test_a_question_without_a_post_takes_its_one_permit(
    database: Database, clock: HandClock
) -> None:
    """A compose page that is opened takes nothing from the posts to come."""
    assert await postponed(pacer(database, clock), user(alone=True), CREATOR) is None
    quota = (await QuotaStore(database).load(user().owner)).quota
    assert {call: quota.taken(call, NOW) for call in QuotaCall} == {
        CREATOR: 1,
        INIT: 0,
        STATUS: 0,
    }


async def test_a_kept_permit_lapses(database: Database, clock: HandClock) -> None:
    """A permit that was not used in its time is taken anew, and counted anew."""
    one = pacer(database, clock)
    await postponed(one, user(), CREATOR)
    clock.go_on(16)  # an init's permit is kept for a quarter of a window
    assert await postponed(one, user(), INIT) is None
    quota = (await QuotaStore(database).load(user().owner)).quota
    assert quota.taken(INIT, clock.now()) == 2


@pytest.mark.parametrize("call", [INIT, STATUS, CREATOR])
async def test_the_last_moment_to_send_a_call_is_not_too_late(
    database: Database, clock: HandClock, call: QuotaCall
) -> None:
    """Calls that dawdle until then, with others that do not, overfill no window."""
    one = pacer(database, clock)
    arrived = list[datetime]()
    for _ in range(3):
        while isinstance(
            permit := await one.acquire(user(waited=True), call), datetime
        ):
            arrived.append(permit + ON_ITS_WAY)
        clock.go_on((permit.until - clock.now()).total_seconds())
        arrived += [clock.now()] * await _taken(one, call)
    assert most_in_a_window(arrived, WINDOW) == LIMITS[call]


async def _taken(one: Pacer, call: QuotaCall) -> int:
    """Take all the permits that there are, for calls that are sent at once."""
    count = 0
    while await postponed(one, user(waited=True), call) is None:
        count += 1
    return count


async def test_a_row_that_was_made_anew_is_not_the_one_that_was_seen(
    database: Database, clock: HandClock
) -> None:
    """Idle rows are deleted, and their successors count their versions from one."""
    one, other = (pacer(database, clock) for _ in range(2))
    assert await _taken(one, INIT) == LIMITS[INIT]
    clock.go_on(3 * 86_400)
    deleted = clock.now() - timedelta(days=1)
    await RetentionStore(database).prune_leftovers(before=deleted)
    assert await _taken(other, INIT) == LIMITS[INIT]
    assert await postponed(one, user(waited=True), INIT) is not None


async def test_a_permit_that_came_along_lasts_longer(
    database: Database, clock: HandClock
) -> None:
    """An init's permit that creator_info brought was taken for the time in between."""
    one = pacer(database, clock)
    await postponed(one, user(), CREATOR)
    assert await one.acquire(user(), INIT) == NOW + timedelta(seconds=15 + 2)
    assert await one.acquire(user(), INIT) == NOW + timedelta(seconds=2)


@pytest.mark.parametrize("call", [INIT, STATUS, CREATOR])
async def test_who_finds_no_permit_is_told_when_there_is_one(
    database: Database, clock: HandClock, call: QuotaCall
) -> None:
    """A job that asks again at the given time gets the permit."""
    one = pacer(database, clock)
    wait = None
    while wait is None:
        wait = await postponed(one, user(), call)
    assert wait.waiting_for is WaitingFor.QUOTA
    assert clock.now() < wait.until <= clock.now() + 2 * WINDOW + SKEW
    clock.go_on((wait.until - clock.now()).total_seconds())
    assert await postponed(one, user(waited=True), call) is None


@pytest.mark.parametrize("limit", [1, 100_000])
async def test_any_limit_works(
    database: Database, clock: HandClock, limit: int
) -> None:
    """A post gets through with one call a minute, and with a great many."""
    limits = dict.fromkeys(QuotaCall, limit)
    one = pacer(database, clock, limits=limits)
    for call in (CREATOR, INIT, STATUS):
        assert await postponed(one, user(), call) is None
    again = await postponed(one, user(), STATUS)
    assert (again is None) == (limit > 1)


async def test_processes_share_one_quota(
    processes: list[Database], clock: HandClock
) -> None:
    """However four processes race for an account, no window holds too many."""
    pacers = [pacer(each, clock) for each in processes]
    made = dict[str, list[datetime]]()

    async def post(number: int, name: str) -> None:
        if await postponed(pacers[number % 4], user(name), INIT) is None:
            made.setdefault(name, []).append(clock.now())

    for _ in range(6):
        await asyncio.gather(
            *(post(number, name) for number in range(8) for name in ("1", "2", "3"))
        )
        clock.go_on(17)
    for name in ("1", "2", "3"):
        assert most_in_a_window(made[name], WINDOW) == LIMITS[INIT]
        assert len(made[name]) == 2 * LIMITS[INIT]  # at 0 s, and again after 61 s


async def test_accounts_do_not_wait_for_each_other(
    database: Database, clock: HandClock
) -> None:
    """A quota is an account's own."""
    one = pacer(database, clock)
    while await postponed(one, user("busy"), INIT) is None:
        pass
    assert await postponed(one, user("other"), INIT) is None


async def test_who_is_refused_stands_in_line(
    database: Database, clock: HandClock
) -> None:
    """Each turn takes as many as the limit; who lost a turn goes to the front."""
    one = pacer(database, clock)
    for _ in range(LIMITS[INIT]):
        assert await postponed(one, user(), INIT) is None
    turns = [await postponed(one, user(), INIT) for _ in range(8)]
    lost = await postponed(one, user(waited=True), INIT)
    first = NOW + WINDOW + SKEW
    second = first + WINDOW + SKEW
    put_off = [PutOff(until=first, waiting_for=WaitingFor.QUOTA)] * 6
    assert turns[:6] == put_off
    assert [turn.until for turn in turns[6:] if turn] == [second, second]
    assert lost == put_off[0]


async def test_who_is_at_the_desk_does_not_wait_for_the_crowd(
    database: Database, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While one puts thousands off, the others that were refused are told at once."""
    one = pacer(database, clock)
    rows = [job_row(next_attempt_at=NOW) for _ in range(QUEUE_TURNS * LIMITS[INIT])]
    await store_rows(database, rows)
    begun, over = asyncio.Event(), asyncio.Event()

    async def put_off_due(*_: object, **__: object) -> None:
        begun.set()
        await over.wait()

    monkeypatch.setattr(one._store, "put_off_due", put_off_due)
    for _ in range(LIMITS[INIT]):
        assert await postponed(one, user(), INIT) is None
    slow = asyncio.create_task(postponed(one, user(), INIT))
    await begun.wait()
    assert isinstance(await postponed(one, user(), INIT), PutOff)
    assert not slow.done()
    over.set()
    assert isinstance(await slow, PutOff)


async def test_a_crowd_of_accounts_is_forgotten_in_time(
    database: Database, clock: HandClock
) -> None:
    """A process that sees a great many accounts keeps only those in use."""
    one = pacer(database, clock)
    for number in range(5):
        await postponed(one, user(str(number)), STATUS)
    one._account_quotas |= {
        user(f"idle {number}").owner: type(one._account_quota(user("0").owner))()
        for number in range(5000)
    }
    await postponed(one, user("new"), STATUS)
    assert len(one._account_quotas) == 6


async def test_a_rest_holds_back_posts_alone(
    processes: list[Database], clock: HandClock
) -> None:
    """A rest holds back new posts only; polls and people's requests go on."""
    here, there = (pacer(each, clock) for each in processes[:2])
    await postponed(here, user(), CREATOR)
    await postponed(there, user(), STATUS)
    until = NOW + timedelta(hours=1)
    await here.rest(user(), until=until, reason=WaitingFor.ACCOUNT_CAP)
    wait = PutOff(until=until, waiting_for=WaitingFor.ACCOUNT_CAP)
    for one in (here, there):
        for _ in range(2):
            assert await postponed(one, user(), STATUS) is None
            assert await postponed(one, user(alone=True), CREATOR) is None
            assert await postponed(one, user(), INIT) == wait
            assert await postponed(one, user(), CREATOR) == wait
        assert await postponed(one, user("other"), INIT) is None
    clock.go_on(3600)
    assert await postponed(there, user(), INIT) is None


async def test_an_idle_account_that_rests_is_not_taken_for_idle(
    database: Database, clock: HandClock
) -> None:
    """A rest of hours outlasts everything that was taken before it."""
    until = NOW + timedelta(hours=1)
    await pacer(database, clock).rest(
        user(), until=until, reason=WaitingFor.ACCOUNT_CAP
    )
    clock.go_on(1800)
    wait = await postponed(pacer(database, clock), user(), INIT)
    assert wait == PutOff(until=until, waiting_for=WaitingFor.ACCOUNT_CAP)


async def test_a_shorter_rest_ends_no_longer_one(
    database: Database, clock: HandClock
) -> None:
    """A job that met a short limit does not wake an account that met its daily cap."""
    one = pacer(database, clock)
    until = NOW + timedelta(hours=1)
    await one.rest(user(), until=until, reason=WaitingFor.ACCOUNT_CAP)
    soon = NOW + timedelta(seconds=30)
    await one.rest(user(), until=soon, reason=WaitingFor.QUOTA)
    wait = await postponed(one, user(), INIT)
    assert wait == PutOff(until=until, waiting_for=WaitingFor.ACCOUNT_CAP)


async def test_when_the_app_rests_every_process_knows_within_seconds(
    processes: list[Database], clock: HandClock
) -> None:
    """The app's cap holds back every account, five seconds later at the latest."""
    here, there = (pacer(each, clock) for each in processes[:2])
    await postponed(there, user("2"), INIT)
    until = NOW + timedelta(hours=1)
    await here.rest(user("1"), until=until, reason=WaitingFor.APP_CAP)
    wait = PutOff(until=until, waiting_for=WaitingFor.APP_CAP)
    assert await postponed(here, user("3"), INIT) == wait
    clock.go_on(5)
    assert await postponed(there, user("2"), INIT) == wait
    assert await postponed(there, user("2"), STATUS) is None
    clock.go_on(3595)
    assert await postponed(there, user("2"), INIT) is None
