"""Routes of jobs' actions: cancel, history, rebind, retry many."""

from typing import Annotated

from fastapi import APIRouter, Body

from app.api.dependencies import By, ProjectScope, Wired
from app.api.docs import examples
from app.api.docs.declared import declared
from app.api.routes.accounts import ACCOUNT_PATH, ProjectId
from app.api.routing import StrictRoute
from app.domain.accounts.account import PLATFORM
from app.domain.errors import DuplicateJob, JobNotCancellable
from app.domain.jobs.job import FailureReason
from app.schemas.job_actions import (
    CancelledAnswer,
    CancelRequest,
    HistoryAnswer,
    ReboundAnswer,
    RetriedAnswer,
    RetryFailedRequest,
)
from app.schemas.job_answers import JobAnswer
from app.service.jobs.jobs import CancelFilter

router = APIRouter(
    route_class=StrictRoute, responses=declared(400, 401, 404, 413, 422, 503)
)


@router.post(
    "/v1/projects/{projectId}/jobs/retry",
    summary="Start failed jobs again together",
    tags=["Jobs"],
    responses=declared(415, DuplicateJob),
)
async def retry_failed_jobs(
    project_id: ProjectId,
    body: Annotated[RetryFailedRequest, Body(openapi_examples=examples.RETRY_FAILED)],
    services: Wired,
    scope: ProjectScope,
    by: By,
) -> RetriedAnswer:
    """Start again what failed for one reason, such as a lost TikTok account."""
    done = await services.jobs.retry_failed(
        project_id,
        FailureReason(body.failure_reason),
        include_overdue=body.include_overdue,
        scope=scope,
        by=by,
    )
    return RetriedAnswer.model_validate(done)


@router.post(
    f"{ACCOUNT_PATH}/rebind-jobs",
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
    return ReboundAnswer.model_validate(result)


@router.post(
    "/v1/jobs/{id}/cancel",
    summary="Cancel a job",
    tags=["Jobs"],
    responses=declared(JobNotCancellable),
)
async def cancel_job(
    id: str, services: Wired, scope: ProjectScope, by: By
) -> JobAnswer:
    """End a job that is not to be posted; a late repeat of its request revives nothing.

    What TikTok is downloading is cancelled there, if TikTok agrees.
    """
    return services.show(await services.jobs.cancel(id, scope=scope, by=by))


@router.post(
    "/v1/projects/{projectId}/jobs/cancel",
    summary="Cancel a project's jobs together",
    tags=["Jobs"],
    responses=declared(415),
)
async def cancel_jobs(
    project_id: ProjectId,
    body: Annotated[CancelRequest, Body(openapi_examples=examples.CANCELS)],
    services: Wired,
    scope: ProjectScope,
    by: By,
) -> CancelledAnswer:
    """End all that fit and that TikTok has nothing of."""
    which = CancelFilter(project_id=project_id, **body.model_dump(exclude={"dry_run"}))
    done = await services.jobs.cancel_many(
        which, dry_run=body.dry_run, scope=scope, by=by
    )
    return CancelledAnswer.model_validate(done)


@router.get("/v1/jobs/{id}/history", summary="Show a job's history", tags=["Jobs"])
async def get_history(id: str, services: Wired, scope: ProjectScope) -> HistoryAnswer:
    """Show what happened to a job, oldest first, and who did it.

    Of its entries and of its attempts the newest thousand each.
    """
    items = await services.jobs.history(id, scope=scope)
    return HistoryAnswer.model_validate({"items": items})
