"""A publish_id that no database took is handed in by whatever starts next."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from app.domain.jobs.witness import KeptInit
from app.store.jobs.recovery.spool import SUFFIX, Spool
from tests.support.factories import store_row, unconfirmed
from tests.system.programs import until
from tests.system.site import Site


async def kept(site: Site, directory: Path) -> str:
    """Keep an id for a job that ended without it; return the job's."""
    sent_at = datetime.now(UTC) - timedelta(minutes=5)
    row = unconfirmed(init_sent_at=sent_at, confirm_at=None)
    job = await store_row(site.container.database, row)
    job = replace(job, init_sent_at=sent_at)
    told = KeptInit.of(job, "v_pub_url~kept", at=sent_at + timedelta(seconds=1))
    Spool(directory, site.container.vault).keep(told)
    assert list(directory.glob(f"*{SUFFIX}"))
    return job.id


@pytest.mark.parametrize(
    "command",
    [["migrate"], ["doctor"], ["tick"], ["keys", "list"], ["status"], ["jobs", "list"]],
    ids=" ".join,
)
async def test_every_command_hands_it_in(
    site: Site, tmp_path: Path, command: list[str]
) -> None:
    """Once, and the file is gone."""
    job_id = await kept(site, tmp_path)
    await site.programs.run(*command)
    assert (await site.container.jobs.get(job_id)).publish_id == "v_pub_url~kept"
    assert not list(tmp_path.glob(f"*{SUFFIX}"))


@pytest.mark.parametrize("runner", ["cron", "embedded"])
async def test_serve_hands_it_in(
    sqlite_site: Site, tmp_path: Path, runner: str
) -> None:
    """Although a trigger runs the jobs, and may not come for a while."""
    await kept(sqlite_site, tmp_path)
    await sqlite_site.programs.start("serve", "--port", "0", RUNNER=runner)
    await until(lambda: not list(tmp_path.glob(f"*{SUFFIX}")))
