"""Whether the process lives and can work."""

from typing import Final, Literal

from fastapi import APIRouter

from app.api.fields import Answer
from app.api.problems import ProblemResponse, declared
from app.api.services import Wired
from app.service.readiness import Readiness

router = APIRouter(tags=["Operations"])

_DETAILS: Final = {
    Readiness.DATABASE_UNAVAILABLE: "The database does not answer.",
    Readiness.DATABASE_NOT_MIGRATED: (
        "The database is not at this program's revision: run `tiktok-scheduler migrate`"
    ),
}


class Health(Answer):
    """All is well."""

    status: Literal["ok"] = "ok"


@router.get("/healthz", operation_id="isAlive", summary="Does the process live?")
async def healthz() -> Health:
    """Answer while the process lives."""
    return Health()


@router.get(
    "/readyz",
    operation_id="isReady",
    summary="Can it work?",
    response_model=Health,
    responses=declared(503),
)
async def readyz(services: Wired) -> Health | ProblemResponse:
    """Answer whether the database is there and migrated."""
    found = await services.readiness()
    if found is Readiness.READY:
        return Health()
    return ProblemResponse(503, code=found, detail=_DETAILS[found])
