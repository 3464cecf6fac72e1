"""Route to retry a project's failed jobs."""

from typing import Annotated, Literal

from fastapi import APIRouter, Body
from pydantic import Field

from app.api.accounts import ProjectId
from app.api.auth import By, ProjectScope
from app.api.docs import examples
from app.api.docs.declared import declared
from app.api.services import Wired
from app.domain.errors import DuplicateJob
from app.domain.jobs.job import FailureReason
from app.schemas.fields import Answer, Request

router = APIRouter(
    prefix="/v1/projects/{projectId}/jobs",
    tags=["Jobs"],
    responses=declared(400, 401, 404, 413, 422, 503),
)


class RetryFailedRequest(Request):
    """Which failed jobs are started again."""

    # Not unconfirmed: whether to risk a second post is decided for each job.
    failure_reason: Literal["auth", "permanent", "max_attempts"]
    include_overdue: bool = Field(
        False, description="Also what should have gone live more than a day ago"
    )


class RetriedAnswer(Answer):
    """What became of the project's failed jobs."""

    retried: int
    skipped: int = Field(
        description="Overdue, perhaps at TikTok, or replaced by a newer Post Now"
    )


@router.post(
    "/retry",
    operation_id="retryFailedJobs",
    summary="Start failed jobs again together",
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
    return RetriedAnswer(retried=done.retried, skipped=done.skipped)
