"""Holds: due jobs of one project, or of all, wait until the hold is taken away."""

from typing import Annotated, Final

from fastapi import APIRouter, Body, status

from app.api.dependencies import By, ProjectScope, Wired
from app.api.docs.declared import declared
from app.api.docs.examples import HOLDS
from app.api.routes.accounts import ProjectId
from app.api.routing import StrictRoute
from app.schemas.job_actions import HoldAnswer, HoldRequest

router = APIRouter(
    route_class=StrictRoute,
    tags=["Holds"],
    responses=declared(400, 401, 404, 413, 422, 503),
)

OF_PROJECT: Final = "/v1/projects/{projectId}/hold"
OF_ALL: Final = "/v1/hold"

Body_ = Annotated[HoldRequest, Body(openapi_examples=HOLDS)]


@router.put(OF_PROJECT, summary="Hold a project's due jobs", responses=declared(415))
async def put_hold(
    project_id: ProjectId, body: Body_, services: Wired, scope: ProjectScope
) -> HoldAnswer:
    """Put off due jobs without counting an attempt; jobs in flight continue.

    A second PUT replaces the first. After `until`, or DELETE, due jobs go on within
    seconds.
    """
    hold = body.to_domain(project_id)
    await services.holds.put(hold, scope=scope)
    return HoldAnswer.model_validate(hold)


@router.get(OF_PROJECT, summary="Show a project's hold")
async def get_hold(
    project_id: ProjectId, services: Wired, scope: ProjectScope
) -> HoldAnswer:
    """Show the hold that is in force; 404 without one."""
    hold = await services.holds.get(project_id, scope=scope)
    return HoldAnswer.model_validate(hold)


@router.delete(
    OF_PROJECT,
    summary="Release a project's hold",
    status_code=status.HTTP_204_NO_CONTENT,
)
async def delete_hold(
    project_id: ProjectId, services: Wired, scope: ProjectScope, by: By
) -> None:
    """Release the hold; 404 without one."""
    await services.holds.delete(project_id, scope=scope, by=by)


@router.put(
    OF_ALL, summary="Hold the due jobs of all projects", responses=declared(415)
)
async def put_hold_of_all(
    body: Body_, services: Wired, scope: ProjectScope
) -> HoldAnswer:
    """Hold every project; needs a key for all projects."""
    hold = body.to_domain(None)
    await services.holds.put(hold, scope=scope)
    return HoldAnswer.model_validate(hold)


@router.get(OF_ALL, summary="Show the hold of all projects")
async def get_hold_of_all(services: Wired, scope: ProjectScope) -> HoldAnswer:
    """Show the hold of every project; 404 without one."""
    return HoldAnswer.model_validate(await services.holds.get(None, scope=scope))


@router.delete(
    OF_ALL,
    summary="Release the hold of all projects",
    status_code=status.HTTP_204_NO_CONTENT,
)
async def delete_hold_of_all(services: Wired, scope: ProjectScope, by: By) -> None:
    """Remove the hold of all; projects with a hold of their own stay held."""
    await services.holds.delete(None, scope=scope, by=by)
