"""Jobs without an owner become the first account's, some at a time."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Update, select

from app.domain.accounts.account_readiness import NO_ACCOUNT
from app.domain.errors import StoreUnavailable
from app.domain.jobs.job import JobStatus
from app.domain.jobs.readiness import Readiness
from app.store.accounts import ownership
from app.store.accounts.account_store import AccountStore
from app.store.db.engine import Database
from app.store.jobs.rows import readiness_to_json
from app.store.jobs.tables import schedule_jobs
from tests.support.accounts import NAME, NOW, VAULT, new_account
from tests.support.factories import job_row, store_rows

PAGE = 3
OPEN = [JobStatus.SCHEDULED] * 5 + [JobStatus.RETRYING] * 2 + [JobStatus.FAILED]
FIRST, SECOND = "open_1", "open_2"


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownership, "_PAGE", PAGE)


@pytest.fixture
def accounts(database: Database) -> AccountStore:
    """Give the store under test."""
    return AccountStore(database, VAULT)


@pytest.fixture
async def jobs(database: Database) -> None:
    """Give jobs without an owner, which show that nobody is connected."""
    shows = readiness_to_json(Readiness(NOW, (NO_ACCOUNT,)))
    await store_rows(database, [job_row(each, readiness=shows) for each in OPEN])


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Let the database go away after the first page; ``undo`` lets it come back."""
    page, asked = ownership._page_of_unbound, list[object]()

    def first_only(*given: Any) -> Update:  # noqa: ANN401  whatever it is given
        asked.append(given)
        if len(asked) > 1:
            raise StoreUnavailable
        return page(*given)

    with monkeypatch.context() as patched:
        patched.setattr(ownership, "_page_of_unbound", first_only)
        yield patched


async def owners(database: Database) -> list[str | None]:
    """List the owners of all jobs."""
    rows = await database.rows(select(schedule_jobs.c.open_id))
    return [row["open_id"] for row in rows]


@pytest.mark.usefixtures("jobs")
async def test_jobs_are_bound_some_at_a_time(
    database: Database, accounts: AccountStore, pages: list[int]
) -> None:
    """However many wait: no statement takes longer than a page."""
    await accounts.put(new_account(), now=NOW)
    assert await owners(database) == [FIRST] * len(OPEN)
    assert len(pages) >= 1 + len(OPEN) // PAGE
    assert max(pages) <= PAGE
    rows = await database.rows(
        select(schedule_jobs.c.readiness, schedule_jobs.c.status)
    )
    assert all(row["readiness"] is None or row["status"] == "failed" for row in rows)


@pytest.mark.usefixtures("jobs")
async def test_what_was_cut_short_is_the_first_persons_still(
    database: Database,
    accounts: AccountStore,
    cut: pytest.MonkeyPatch,
    pages: list[int],
) -> None:
    """Whoever connects next gets none of the jobs."""
    await accounts.put(new_account(), now=NOW)
    assert (await owners(database)).count(FIRST) == PAGE
    cut.undo()
    pages.clear()
    await accounts.put(new_account(open_id=SECOND), now=NOW)
    assert max(pages) <= PAGE
    assert await owners(database) == [FIRST] * len(OPEN)


@pytest.mark.usefixtures("jobs")
async def test_what_was_cut_short_is_bound_before_the_account_is_gone(
    database: Database,
    accounts: AccountStore,
    cut: pytest.MonkeyPatch,
    pages: list[int],
) -> None:
    """So nobody who is connected later gets the jobs."""
    await accounts.put(new_account(), now=NOW)
    cut.undo()
    pages.clear()
    await accounts.delete(*NAME, now=NOW)
    assert max(pages) <= PAGE
    await accounts.put(new_account(open_id=SECOND), now=NOW)
    assert await owners(database) == [FIRST] * len(OPEN)


@pytest.mark.usefixtures("jobs", "cut")
async def test_nobody_leaves_while_jobs_cannot_be_bound(
    database: Database, accounts: AccountStore
) -> None:
    """Else they would be the next person's."""
    await accounts.put(new_account(), now=NOW)
    with pytest.raises(StoreUnavailable):
        await accounts.put(new_account(open_id=SECOND), now=NOW)
    with pytest.raises(StoreUnavailable):
        await accounts.delete(*NAME, now=NOW)
    assert (await accounts.get(*NAME)).open_id == FIRST
    assert (await owners(database)).count(FIRST) == PAGE


@pytest.mark.parametrize("successor", [None, SECOND])
async def test_a_page_that_comes_late_binds_nothing(
    database: Database, accounts: AccountStore, successor: str | None
) -> None:
    """Jobs that come after an account was removed are the next person's."""
    former, _ = await accounts.put(new_account(), now=NOW)
    await accounts.delete(*NAME, now=NOW)
    if successor is not None:
        await accounts.put(new_account(open_id=successor), now=NOW)
    await store_rows(database, [job_row(each) for each in OPEN])
    await ownership.bind_jobs(database, former)
    await ownership.show_person(database, former, now=NOW)
    assert await owners(database) == [None] * len(OPEN)
    rows = await database.rows(select(schedule_jobs.c.readiness))
    assert [row["readiness"] for row in rows] == [None] * len(OPEN)


@pytest.mark.parametrize("successor", [FIRST, SECOND])
async def test_a_job_that_came_without_an_owner_is_the_connected_persons(
    database: Database, accounts: AccountStore, successor: str
) -> None:
    """Whoever connects next: the same person again, or another one."""
    await accounts.put(new_account(), now=NOW)
    await store_rows(database, [job_row(each) for each in OPEN])
    await accounts.put(new_account(open_id=successor), now=NOW)
    assert await owners(database) == [FIRST] * len(OPEN)
