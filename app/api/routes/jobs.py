"""Routes of jobs: create, show, list, edit, delete, retry."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Query, Request, Response, status

from app.api.dependencies import (
    KEY_PARAMETER,
    SECURITY,
    By,
    ProjectScope,
    Wired,
    caller_of,
    request_key,
    services_in,
)
from app.api.docs import examples
from app.api.docs.declared import declared
from app.api.middleware import note
from app.api.routing import StrictRoute
from app.domain.errors import (
    DuplicateJob,
    IdempotencyKeyReused,
    JobNotDeletable,
    JobNotEditable,
    JobNotRetryable,
    MayHaveBeenStored,
    OutcomeUnknown,
    StoreUnavailable,
    TooLate,
    TooLongAgo,
)
from app.domain.jobs.idempotency_keys import RequestKey
from app.schemas.job_answers import (
    AttemptsAnswer,
    JobAnswer,
    JobsAnswer,
)
from app.schemas.job_requests import JobPatch, JobQuery, JobRequest, RetryRequest

REPLAYED: Final = "Idempotent-Replayed"
REPLAYED_DIFFERS: Final = "Idempotent-Replayed-Differs"
"""JSON pointers of the fields in which a repeated request differs from the job."""

_REPLAYED: Final[dict[str, Any]] = {
    REPLAYED: {"schema": {"const": "true"}},
    REPLAYED_DIFFERS: {
        "description": "The fields in which this request differs from the job: JSON"
        " pointers, separated by commas. The job was not changed; use PATCH.",
        "schema": {"type": "string", "examples": ["/assetUrl, /post/title"]},
    },
}

router = APIRouter(
    route_class=StrictRoute,
    prefix="/v1/jobs",
    tags=["Jobs"],
    responses=declared(400, 401, 413, 422, 503),
)


@router.post(
    "",
    summary="Schedule a video, or post it now",
    status_code=status.HTTP_201_CREATED,
    responses={
        200: {
            "model": JobAnswer,
            "description": "It exists already; this is the stored job",
            "headers": _REPLAYED,
        },
        201: {"headers": {"Location": {"schema": {"type": "string"}}}},
        **declared(
            *(404, 415, TooLongAgo, IdempotencyKeyReused, StoreUnavailable),
            MayHaveBeenStored("0196a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"),
        ),
    },
    openapi_extra={"security": [SECURITY], "parameters": [KEY_PARAMETER]},
)
async def create_job(
    body: Annotated[JobRequest, Body(openapi_examples=examples.JOBS)],
    request: Request,
    response: Response,
) -> JobAnswer:
    """Schedule a video. The same request again finds the job of the first.

    Without an `Idempotency-Key`, a repeat is recognised by its project, asset and time,
    even after a PATCH moved the job. A Post Now is recognised until it has ended. With
    a key, a repeat is recognised as long as the job exists: send one with every Post
    Now.
    """
    # The busiest route asks for what it needs: each of FastAPI's dependencies costs a
    # twentieth of a post.
    services, caller = services_in(request), caller_of(request)
    new = body.to_domain(default_max_attempts=services.default_max_attempts)
    key = None
    if (value := request_key(request)) is not None:
        key = RequestKey.of(value, await request.json())
    job, created = await services.jobs.create(
        new, scope=caller.project_id, key=key, by=caller.id
    )
    note(request, job_id=job.id, project_id=job.project_id)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    if not created:
        response.status_code = status.HTTP_200_OK
        response.headers[REPLAYED] = "true"
        if differing := body.differing(job):
            response.headers[REPLAYED_DIFFERS] = ", ".join(differing)
    return services.show(job)


@router.get("", summary="List jobs", responses=declared(404))
async def list_jobs(
    query: Annotated[JobQuery, Query()], services: Wired, scope: ProjectScope
) -> JobsAnswer:
    """List jobs, newest first unless asked otherwise.

    Pages stay stable while new jobs arrive. A page costs the same however many jobs
    there are, except for a window on `scheduledFor` sorted by `createdAt`, which costs
    as much as the window.
    """
    page = await services.jobs.list(
        query.to_domain(),
        query.wanted_order,
        limit=query.limit,
        cursor=query.cursor,
        scope=scope,
    )
    items = [services.show(job) for job in page.items]
    return JobsAnswer(items=items, next_cursor=page.next_cursor)


@router.get("/{id}", summary="Show a job", responses=declared(404))
async def get_job(id: str, services: Wired, scope: ProjectScope) -> JobAnswer:
    """Show a job's current state."""
    return services.show(await services.jobs.get(id, scope=scope))


@router.patch(
    "/{id}",
    summary="Change a job before TikTok has it",
    responses=declared(404, 415, JobNotEditable, DuplicateJob, TooLongAgo),
)
async def edit_job(
    id: str,
    body: Annotated[JobPatch, Body(openapi_examples=examples.PATCHES)],
    services: Wired,
    scope: ProjectScope,
    by: By,
) -> JobAnswer:
    """Change a job while nothing of it is at TikTok; `post` is merged by field.

    A failed job stays failed until it is retried.
    """
    job = await services.jobs.edit(id, body.to_domain(), scope=scope, by=by)
    return services.show(job)


@router.delete(
    "/{id}",
    summary="Remove a job",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=declared(404, JobNotDeletable),
)
async def delete_job(id: str, services: Wired, scope: ProjectScope) -> None:
    """Remove a job, unless its row guards against a second post."""
    await services.jobs.delete(id, scope=scope)


@router.post(
    "/{id}/retry",
    summary="Start a failed job again",
    status_code=status.HTTP_202_ACCEPTED,
    responses=declared(
        404, 415, JobNotRetryable, TooLate, OutcomeUnknown, DuplicateJob
    ),
)
async def retry_job(
    id: str,
    services: Wired,
    scope: ProjectScope,
    by: By,
    body: Annotated[
        RetryRequest | None, Body(openapi_examples=examples.RETRIES)
    ] = None,
) -> JobAnswer:
    """Start a failed job again, with the full number of attempts.

    A publish that TikTok may still have is followed. With `acceptDuplicateRisk` it is
    given up: TikTok is asked to cancel it, and the post is sent again.
    """
    job = await services.jobs.retry(
        id,
        accept_duplicate_risk=body is not None and body.accept_duplicate_risk,
        scope=scope,
        by=by,
    )
    return services.show(job)


@router.get("/{id}/attempts", summary="Show a job's attempts", responses=declared(404))
async def list_attempts(
    id: str, services: Wired, scope: ProjectScope
) -> AttemptsAnswer:
    """Show a job's ledger, oldest first: one row per attempt."""
    attempts = await services.jobs.attempts(id, scope=scope)
    return AttemptsAnswer.model_validate({"items": attempts})
