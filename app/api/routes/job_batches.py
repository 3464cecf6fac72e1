"""Routes to create a batch of jobs, and to validate one."""

import asyncio
import json
from collections import defaultdict
from itertools import starmap
from typing import Annotated, Any, Final

import structlog
from fastapi import APIRouter, Body, HTTPException, Request
from pydantic import WithJsonSchema

from app.api.dependencies import (
    KEY_PARAMETER,
    ProjectScope,
    Wired,
    caller_of,
    request_key,
)
from app.api.docs import examples
from app.api.docs.declared import declared
from app.api.middleware import note
from app.api.problems import http_problem, problem_of
from app.api.routing import StrictRoute
from app.domain.api_key import ApiKey
from app.domain.errors import InvalidInput, SchedulerError
from app.domain.jobs.idempotency_keys import RequestKey
from app.schemas.invalid import Problem
from app.schemas.job_answers import (
    BatchAnswer,
    BatchedJob,
    RefusedJob,
    ValidationAnswer,
)
from app.schemas.job_requests import BatchRequest, read_job
from app.service.jobs.validation import Issue, Validation
from app.use_cases import UseCases

AT_ONCE: Final = 8
"""How many jobs of a batch are stored at a time, to leave connections to others."""

_AnyJob = Annotated[
    Any,
    WithJsonSchema({"$ref": "#/components/schemas/JobRequest"}),
    Body(openapi_examples=examples.JOBS),
]

log = structlog.get_logger(__name__)

router = APIRouter(
    route_class=StrictRoute,
    prefix="/v1/jobs",
    tags=["Jobs"],
    responses=declared(400, 401, 413, 415, 422, 503),
)


@router.post(
    "/batch",
    summary="Schedule up to a hundred videos",
    response_model_exclude_unset=True,  # a problem's fields that do not apply
    openapi_extra={"parameters": [KEY_PARAMETER]},
)
async def create_jobs(
    body: Annotated[BatchRequest, Body(openapi_examples=examples.BATCHES)],
    request: Request,
    services: Wired,
    _: ProjectScope,
) -> BatchAnswer:
    """Schedule many jobs, each as `POST /v1/jobs` would; up to 1 MiB.

    A refused job does not affect the others. Sending the batch again finds every job.
    If it contains Post Nows, send an `Idempotency-Key`: it applies to each job by its
    position.
    """
    gate = asyncio.Semaphore(AT_ONCE)
    alike: defaultdict[object, asyncio.Lock] = defaultdict(asyncio.Lock)
    value, caller = request_key(request), caller_of(request)

    async def made(place: int, item: object) -> BatchedJob | RefusedJob:
        key = None if value is None else RequestKey.of(f"{value}/{place}", item)
        # Of two that ask for one job the first makes it.
        async with alike[_asset_of(item)], gate:
            return await _made(item, key, services, caller)

    items = await asyncio.gather(*starmap(made, enumerate(body.items)))
    note(request, jobs=len(items), refused=sum(each.status >= 400 for each in items))
    return BatchAnswer(items=items)


@router.post(
    "/validate", summary="Check a job without scheduling it", responses=declared(404)
)
async def validate_job(
    services: Wired, scope: ProjectScope, body: _AnyJob = None
) -> ValidationAnswer:
    """Report what would keep a job from being stored, or posted as requested.

    The body is that of `POST /v1/jobs`, even one that it would refuse. Nothing is
    stored, and TikTok is only asked what the creator may choose.
    """
    if isinstance(body, bytes):  # FastAPI parses only JSON
        raise HTTPException(415)
    try:
        asked = read_job(body)
    except InvalidInput as error:
        found = Validation(tuple(map(Issue.of, error.errors)))
    else:
        new = asked.to_domain(default_max_attempts=services.default_max_attempts)
        found = await services.validation.check(new, scope=scope)
    return ValidationAnswer.model_validate(found)


def _asset_of(item: object) -> object:
    """Return what two items share that may ask for one job."""
    if not isinstance(item, dict):
        return None
    return str(item.get("projectId")), str(item.get("assetId"))


async def _made(
    item: object, key: RequestKey | None, services: UseCases, caller: ApiKey
) -> BatchedJob | RefusedJob:
    try:
        asked = read_job(item)
        new = asked.to_domain(default_max_attempts=services.default_max_attempts)
        job, created = await services.jobs.create(
            new, scope=caller.project_id, key=key, by=caller.id
        )
    except SchedulerError as error:
        answer = problem_of(error)
    except Exception:
        log.exception("a job of a batch failed unexpectedly")
        answer = http_problem(500)
    else:
        return BatchedJob(status=201 if created else 200, job=services.show(job))
    problem = Problem.model_validate(json.loads(bytes(answer.body)))
    return RefusedJob(status=answer.status_code, problem=problem)
