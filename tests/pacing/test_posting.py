"""Posts that fall due together, with quotas kept on both sides of the wire."""

from collections import Counter
from datetime import timedelta

import pytest

from app.sandbox.recording import Call
from tests.pacing.posting import (
    all_running,
    assert_kept,
    keep_quotas,
    paced_worker,
    until_posted,
)
from tests.runner.stage import Stage
from tests.support.factories import job_row, store_rows

WINDOW = timedelta(seconds=2)


@pytest.mark.parametrize("count", [1, 4])
async def test_twelve_posts_due_at_once_break_no_quota(
    stage: Stage, count: int
) -> None:
    """All are posted, in turns; waiting for one is neither an attempt nor an error."""
    keep_quotas(stage, window=WINDOW)
    workers = [await paced_worker(stage, window=WINDOW) for _ in range(count)]
    await stage.connect(workers[0], "proj_1")
    jobs = [await stage.job(workers[0]) for _ in range(12)]
    async with all_running(stage, workers):
        done = await until_posted(stage, workers[0], jobs)
    assert_kept(stage, window=WINDOW)
    assert len(stage.calls(Call.INIT)) == 12
    assert {(job.attempts, job.last_error) for job in done} == {(0, None)}
    for job in done:
        (entry,) = await workers[0].ledger(job)
        assert entry.outcome == "published"


async def test_an_account_with_thousands_of_due_posts_holds_up_no_other(
    stage: Stage,
) -> None:
    """The others start as soon as one load of attempts found the quota used up."""
    keep_quotas(stage)
    worker = await paced_worker(stage)
    for project in ("busy", "proj_1", "proj_2"):
        await stage.connect(worker, project)
    since = stage.clock.now() - timedelta(minutes=1)
    url = f"{stage.tiktok.url}/_sandbox/video.mp4"
    rows = [
        job_row(project_id="busy", asset_url=url, next_attempt_at=since)
        for _ in range(3_000)
    ]
    await store_rows(worker.container.database, rows)
    others = [
        await stage.job(worker, project_id=project) for project in ("proj_1", "proj_2")
    ]
    async with all_running(stage, [worker]):
        await until_posted(stage, worker, others)
    written = Counter(worker.claims.done)["apply"]
    assert written < 2 * worker.container.settings.max_in_flight
    busy = [call for call in stage.calls(Call.INIT) if call.open_id == "user of busy"]
    assert 0 < len(busy) <= 6  # some may still be on their way
