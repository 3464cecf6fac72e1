"""What a removed account leaves behind: its waiting jobs show it, some at a time."""

import pytest
from sqlalchemy import Update, select

from app.domain.accounts.account_readiness import NO_ACCOUNT
from app.domain.errors import AccountNotConnected, StoreUnavailable
from app.domain.jobs.job import JobStatus
from app.store.accounts import ownership
from app.store.accounts.account_store import AccountStore
from app.store.db.engine import Database
from app.store.jobs.tables import schedule_jobs
from tests.support.accounts import NAME, NOW, VAULT, new_account
from tests.support.factories import job_row, store_rows

PAGE = 3
WAITING = [JobStatus.SCHEDULED] * 5 + [JobStatus.RETRYING] * 3


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownership, "_PAGE", PAGE)


@pytest.fixture
def accounts(database: Database) -> AccountStore:
    """Give the store under test."""
    return AccountStore(database, VAULT)


@pytest.fixture
async def jobs(database: Database, accounts: AccountStore) -> None:
    """Give a connected project jobs that wait and jobs that do not."""
    await accounts.put(new_account(), now=NOW)
    others = (JobStatus.PROCESSING, JobStatus.POSTED, JobStatus.FAILED)
    rows = [job_row(each, open_id="open_1") for each in (*WAITING, *others)]
    await store_rows(database, rows)


async def shown(database: Database) -> list[JobStatus]:
    """List the states of the jobs that show that nobody is connected."""
    columns = schedule_jobs.c
    rows = await database.rows(select(columns.status, columns.readiness))
    return sorted(
        JobStatus(row["status"])
        for row in rows
        if NO_ACCOUNT.code in str(row["readiness"])
    )


@pytest.mark.usefixtures("jobs")
async def test_jobs_show_it_some_at_a_time(
    database: Database, accounts: AccountStore, pages: list[int]
) -> None:
    """However many wait: no statement takes longer than a page."""
    await accounts.delete(*NAME, now=NOW)
    assert await shown(database) == sorted(WAITING)
    assert len(pages) >= 1 + len(WAITING) // PAGE
    assert max(pages) <= PAGE


@pytest.mark.usefixtures("jobs")
async def test_the_account_is_gone_before_its_jobs_show_it(
    accounts: AccountStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent any more, whatever becomes of the rest."""

    def away(*_: object, **__: object) -> Update:
        raise StoreUnavailable

    monkeypatch.setattr(ownership, "_page_of_waiting", away)
    removed = await accounts.delete(*NAME, now=NOW)
    assert removed.open_id == "open_1"
    with pytest.raises(AccountNotConnected):
        await accounts.get(*NAME)


@pytest.mark.usefixtures("jobs")
async def test_who_connects_meanwhile_is_shown(
    database: Database, accounts: AccountStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages that come after leave jobs as the new account made them."""
    show = ownership.show_nobody

    async def connected_first(*given: object, **named: object) -> None:
        await accounts.put(new_account(), now=NOW)
        await show(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr("app.store.accounts.account_store.show_nobody", connected_first)
    await accounts.delete(*NAME, now=NOW)
    assert (await accounts.get(*NAME)).open_id == "open_1"
    assert await shown(database) == []
