"""Route of TikTok's webhooks."""

from typing import Final, Literal

from fastapi import APIRouter, Request

from app.api.dependencies import Wired
from app.api.docs import examples
from app.api.docs.declared import declared
from app.api.problems import ProblemResponse
from app.schemas.fields import Answer
from app.service.tiktok_events import Receipt

SIGNATURE: Final = "TikTok-Signature"

_REFUSALS: Final = {
    Receipt.BAD_SIGNATURE: (401, f"{SIGNATURE} is not right for this body and app."),
    Receipt.NOT_CONFIGURED: (
        503,
        "TIKTOK_CLIENT_SECRET is not set, so nothing can be believed.",
    ),
}


def _refusal(receipt: Receipt) -> ProblemResponse:
    status, detail = _REFUSALS[receipt]
    challenge = {"WWW-Authenticate": SIGNATURE} if status == 401 else None
    return ProblemResponse(status, code=receipt, detail=detail, headers=challenge)


router = APIRouter(
    tags=["Webhooks"],
    responses=declared(413, 503, *(_refusal(each) for each in _REFUSALS)),
)

_BODY: Final = {
    "requestBody": {
        "required": True,
        "description": "An event, as TikTok wrote and signed it",
        "content": {
            "application/json": {
                "schema": {"type": "object"},
                "examples": examples.TIKTOK_EVENTS,
            }
        },
    },
    "parameters": [
        {
            "name": SIGNATURE,
            "in": "header",
            "required": True,
            "description": "`t=<seconds>,s=<hex HMAC-SHA256 of t.body>`",
            "schema": {"type": "string"},
        }
    ],
}


class Received(Answer):
    """The event is stored."""

    status: Literal["stored"] = "stored"


@router.post(
    "/webhooks/tiktok",
    operation_id="receiveTikTokEvent",
    summary="An event from TikTok",
    response_model=Received,
    openapi_extra=_BODY,
)
async def receive(request: Request, services: Wired) -> Received | ProblemResponse:
    """Store an event that TikTok signed; a repeat is stored already.

    It alone is never believed: TikTok is asked about the post it names.
    """
    # The signature covers the received bytes, so nothing may parse them first.
    body = await request.body()
    signature = request.headers.get(SIGNATURE, "")
    receipt = await services.tiktok_events.receive(signature, body)
    if receipt is Receipt.STORED:
        return Received()
    return _refusal(receipt)
