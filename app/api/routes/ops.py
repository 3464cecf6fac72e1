"""Routes for operators: health, readiness, metrics."""

from typing import Final, Literal

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse
from msgspec.structs import asdict
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from pydantic import Field

from app.api.dependencies import Wired
from app.api.docs.declared import declared
from app.api.problems import ProblemResponse
from app.schemas.fields import Answer
from app.service.operations.health import Check, DatabaseState

router = APIRouter(tags=["Operations"])

_DETAILS: Final = {
    DatabaseState.DATABASE_UNAVAILABLE: "The database does not answer.",
    DatabaseState.DATABASE_NOT_MIGRATED: (
        "The database is not at this program's revision: run `tiktok-scheduler migrate`"
    ),
    DatabaseState.DATABASE_READ_ONLY: (
        "The database can only be read: a standby, or its disk is full."
    ),
    DatabaseState.DATABASE_REPLACED: (
        "Another server has taken the place of the one that answers: nothing is written"
        " there."
    ),
    DatabaseState.CLOCK_SKEWED: (
        "Our clock and the database's differ: no job is claimed until they agree."
    ),
}


class Alive(Answer):
    """All is well."""

    status: Literal["ok"] = "ok"


class PartsFound(Answer):
    """The state of each part."""

    database: Check = Field(
        description="`ok`, `unavailable`, `read_only`, or `replaced`: by another server"
    )
    migrations: Check = Field(description="`ok`, `not_migrated` or `unknown`")
    keys: Check = Field(
        description="`unreadable`: no key in TOKEN_ENCRYPTION_KEYS opens stored tokens"
    )
    clock: Check = Field(
        description="`skewed`: too far from the database's; no job is claimed"
    )
    commits: Check = Field(
        description="`local`: on one machine's disk when written; `replicated`: on two"
    )
    failover: Check = Field(
        description="`hidden`: the host does not tell which server it is"
    )
    runner: Check = Field(
        description="`ok`, `stopped`, or `elsewhere`: by cron or in another process"
    )


class Ready(Alive):
    """It can work; the checks are for operators."""

    checks: PartsFound


@router.get("/healthz", summary="Is the process alive?")
async def is_alive() -> Alive:
    """Answer while the process lives."""
    return Alive()


@router.get(
    "/readyz", summary="Can it work?", response_model=Ready, responses=declared(503)
)
async def is_ready(services: Wired) -> Ready | ProblemResponse:
    """Answer whether the database is there and migrated, and what else is wrong.

    The database and its clock decide between 200 and 503.
    """
    health = await services.health.check()
    checks = asdict(health.checks)
    found = health.state
    if found is DatabaseState.READY:
        return Ready(checks=PartsFound(**checks))
    return ProblemResponse(
        503, code=found, detail=_DETAILS[found], more={"checks": checks}
    )


@router.get(
    "/metrics", summary="Metrics for Prometheus", response_class=PlainTextResponse
)
async def get_metrics(services: Wired) -> PlainTextResponse:
    """Answer in Prometheus' text format."""
    return PlainTextResponse(
        await services.metrics.render(), media_type=CONTENT_TYPE_PLAIN_0_0_4
    )


for _path, _page in (
    ("/healthz", is_alive),
    ("/readyz", is_ready),
    ("/metrics", get_metrics),
):
    # Some probes send HEAD; the server leaves out the body.
    router.add_api_route(
        _path, _page, methods=["HEAD"], response_model=None, include_in_schema=False
    )
