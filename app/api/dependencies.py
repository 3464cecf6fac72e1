"""What routes ask for: the use cases, their caller, and the caller's own key."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import Depends, Request, Security
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from pydantic import Field, TypeAdapter, ValidationError

from app.domain.api_key import Actor, ApiKey
from app.domain.errors import InvalidInput
from app.schemas.invalid import field_error, given_often
from app.use_cases import UseCases

SCHEME: Final = "apiKey"
SECURITY: Final[Mapping[str, list[str]]] = {SCHEME: []}
"""Declares the key in the OpenAPI document, for a route without ``ProjectScope``."""

KEY_HEADER: Final = "Idempotency-Key"
"""Read by hand: FastAPI's way costs 5 % of a post."""

_DESCRIPTION: Final = (
    "Your own key for this request, good within the project as long as the job is"
    " there. The same key with another body is a 409"
)
_MOST: Final = 255
_PATTERN: Final = r"^[!-~]+$"
_KEY: Final = TypeAdapter[str](
    Annotated[str, Field(min_length=1, max_length=_MOST, pattern=_PATTERN)]
)

KEY_PARAMETER: Final[dict[str, Any]] = {
    "name": KEY_HEADER,
    "in": "header",
    "required": False,
    "schema": {  # written out, as to have Pydantic write it takes 7 ms of each start
        "description": _DESCRIPTION,
        "maxLength": _MOST,
        "minLength": 1,
        "pattern": _PATTERN,
        "type": "string",
    },
    "description": _DESCRIPTION,
}
"""The header as the OpenAPI document declares it."""


def services_in(request: Request) -> UseCases:
    """Return the use cases of the app."""
    services: UseCases = request.app.state.services
    return services


async def services_of(request: Request) -> UseCases:
    """Return them to a route that depends on them."""
    # Waits for nothing, yet async: FastAPI would run a plain function in a thread.
    return services_in(request)


Wired = Annotated[UseCases, Depends(services_of)]


class CallersProject(SecurityBase):
    """Returns the caller's project, and declares the key in the OpenAPI document.

    One dependency for both, as FastAPI solves each for every request.
    """

    def __init__(self) -> None:
        self.model = HTTPBearer(description="From `tiktok-scheduler keys create`")
        self.scheme_name = SCHEME

    async def __call__(self, request: Request) -> str | None:
        """Return the project that the key is limited to, None for all projects."""
        # Waits for nothing, yet async: FastAPI would run a plain function in a thread.
        key: ApiKey = request.state.api_key
        return key.project_id


ProjectScope = Annotated[str | None, Security(CallersProject())]


def caller_of(request: Request) -> ApiKey:
    """Return the caller's key or browser token."""
    key: ApiKey = request.state.api_key
    return key


async def actor_of(request: Request) -> Actor | None:
    """Return the key that a request was made with."""
    # Waits for nothing, yet async: FastAPI would run a plain function in a thread.
    key: ApiKey = request.state.api_key
    return Actor(key.id, key.name)


By = Annotated[Actor | None, Depends(actor_of)]


def request_key(request: Request) -> str | None:
    """Return the key of a request, None if it has none; raises InvalidInput."""
    given = request.headers.getlist(KEY_HEADER)
    if not given:
        return None
    if len(given) > 1:
        raise InvalidInput(given_often(KEY_HEADER, len(given)))
    try:
        return _KEY.validate_python(given[0])
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)
        named = ({**each, "loc": (KEY_HEADER,)} for each in wrong)
        raise InvalidInput(*map(field_error, named)) from None
