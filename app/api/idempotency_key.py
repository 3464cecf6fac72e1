"""The header Idempotency-Key, read by hand: FastAPI's way costs 5 % of a post."""

from typing import Annotated, Any, Final

from fastapi import Request
from pydantic import Field, TypeAdapter, ValidationError

from app.domain.errors import InvalidInput
from app.schemas.invalid import field_error

NAME: Final = "Idempotency-Key"

_DESCRIPTION: Final = (
    "Your own key for this request, good within the project as long as the job is"
    " there. The same key with another body is a 409"
)
_KEY: Final = TypeAdapter[str](
    Annotated[
        str,
        Field(
            min_length=1,
            max_length=255,
            pattern=r"^[!-~]+$",
            description=_DESCRIPTION,
        ),
    ]
)

PARAMETER: Final[dict[str, Any]] = {
    "name": NAME,
    "in": "header",
    "required": False,
    "schema": _KEY.json_schema(),
    "description": _DESCRIPTION,
}
"""The header as the OpenAPI document declares it."""


def key_of(request: Request) -> str | None:
    """Return the key of a request, None if it has none; raises InvalidInput."""
    given = request.headers.get(NAME)
    if given is None:
        return None
    try:
        return _KEY.validate_python(given)
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)
        named = ({**each, "loc": (NAME,)} for each in wrong)
        raise InvalidInput(*map(field_error, named)) from None
