"""What people do about jobs beside editing them: cancel, look back, move."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from app.api.accounts import PLATFORM, PREFIX, ProjectId
from app.api.auth import ProjectScope
from app.api.docs.declared import declared
from app.api.services import Wired
from app.domain.api_key import ApiKey
from app.domain.history import Actor
from app.schemas.job_actions import ReboundAnswer

router = APIRouter(responses=declared(400, 401, 404, 413, 422, 503))


async def actor_of(request: Request) -> Actor:
    """Return the key that a request was made with."""
    # Waits for nothing, yet async: FastAPI would run a plain function in a thread.
    key: ApiKey = request.state.api_key
    return Actor(key.id, key.name)


By = Annotated[Actor, Depends(actor_of)]


@router.post(
    f"{PREFIX}/rebind-jobs",
    operation_id="rebindJobs",
    summary="Move jobs to the account that is connected now",
    tags=["Accounts"],
)
async def rebind_jobs(
    project_id: ProjectId, services: Wired, scope: ProjectScope, by: By
) -> ReboundAnswer:
    """Move what was made for another TikTok account and has nothing in flight."""
    result = await services.accounts.rebind_jobs(
        project_id, PLATFORM, scope=scope, by=by
    )
    return ReboundAnswer(moved=result.moved, skipped=result.skipped)
