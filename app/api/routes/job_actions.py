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
    """Start again the jobs that failed for one reason, such as a lost account."""
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
    """Move jobs that were made for another account and have nothing in flight."""
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
    """End a job so that it is not posted. A late repeat of its request finds it so.

    If TikTok is downloading the video already, TikTok is asked to cancel that, too.
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
    """End all matching jobs that TikTok does not have yet."""
    which = CancelFilter(project_id=project_id, **body.model_dump(exclude={"dry_run"}))
    done = await services.jobs.cancel_many(
        which, dry_run=body.dry_run, scope=scope, by=by
    )
    return CancelledAnswer.model_validate(done)


@router.get("/v1/jobs/{id}/history", summary="Show a job's history", tags=["Jobs"])
async def get_history(id: str, services: Wired, scope: ProjectScope) -> HistoryAnswer:
    """Show what happened to a job, oldest first, and who did it.

    At most the newest thousand entries and the newest thousand attempts.
    """
    items = await services.jobs.history(id, scope=scope)
    return HistoryAnswer.model_validate({"items": items})
