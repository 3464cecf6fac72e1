"""How much quota the compose page uses."""

from app.domain.accounts.quota import QuotaCall
from app.store.accounts.quotas import Owner, QuotaStore
from app.use_cases import UseCases
from tests.pacing.pacers import CREATOR, INIT, STATUS
from tests.runner.stage import Stage


async def test_the_compose_page_takes_one_permit(stage: Stage) -> None:
    """The posts that follow may be another process's: they take their own permits."""
    worker = await stage.worker()
    await stage.connect(worker, "proj_1")
    container = worker.container
    await UseCases(container).accounts.creator_info("proj_1", "tiktok", scope=None)
    owner = Owner("tiktok", "user of proj_1 proj_1")  # nobody confirmed it
    quota = (await QuotaStore(container.database).load(owner)).quota
    taken = {call: quota.taken(call, stage.clock.now()) for call in QuotaCall}
    assert taken == {CREATOR: 1, INIT: 0, STATUS: 0}
