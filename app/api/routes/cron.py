"""Route of the cron trigger: one call runs what is due, without a worker."""

from typing import Annotated

from fastapi import APIRouter, Request, Security
from fastapi.security import HTTPBearer

from app.api.auth import CHALLENGE, answered_late, is_bearer
from app.api.dependencies import Wired
from app.api.docs.declared import declared
from app.api.problems import HTTP_CODES, ProblemResponse
from app.schemas.fields import Answer


def _disabled() -> ProblemResponse:
    detail = "CRON_SECRET is not set, so nobody may tick."
    return ProblemResponse(503, code="cron_disabled", detail=detail)


def _refused() -> ProblemResponse:
    code, _ = HTTP_CODES[401]
    detail = "Authorization: Bearer <CRON_SECRET> is needed; an API key is not it."
    return ProblemResponse(401, code=code, detail=detail, headers=CHALLENGE)


router = APIRouter(tags=["Cron"], responses=declared(413, 503, _disabled(), _refused()))

_secret = HTTPBearer(
    scheme_name="cronSecret", description="CRON_SECRET", auto_error=False
)


class TickAnswer(Answer):
    """What this tick did."""

    claimed: int
    posted: int
    retrying: int
    failed: int
    in_flight: int
    reclaimed: int
    duration_ms: int


# Schedulers differ in what they send: Vercel's sends GET, others POST.
@router.get(
    "/cron/tick",
    operation_id="tickByGet",
    summary="Run what is due",
    response_model=TickAnswer,
)
@router.post("/cron/tick", summary="Run what is due", response_model=TickAnswer)
async def tick(
    request: Request,
    services: Wired,
    _documented: Annotated[object, Security(_secret)],
) -> TickAnswer | ProblemResponse:
    """Run what is due, within TICK_BUDGET_SECONDS; ticks may overlap."""
    if services.cron_secret is None:
        return _disabled()
    if not is_bearer(request.headers, services.cron_secret):
        return await answered_late(_refused(), request.scope)
    return TickAnswer.model_validate(await services.tick())
