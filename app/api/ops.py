"""Whether the process lives and can work."""

from typing import Final, Literal

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

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


@router.get(
    "/metrics",
    operation_id="getMetrics",
    summary="Are posts late, and what became of them?",
    response_class=PlainTextResponse,
)
async def metrics(services: Wired) -> PlainTextResponse:
    """Answer in Prometheus' text format."""
    return PlainTextResponse(
        await services.metrics.render(), media_type=CONTENT_TYPE_PLAIN_0_0_4
    )
