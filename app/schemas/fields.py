"""Base models and field types of requests, answers and parameters."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, ClassVar, Final, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel

from app.domain.jobs.idempotency_keys import iso_millis
from app.domain.naming import MAX_NAME_LENGTH, problem_with_name
from app.schemas.invalid import at_most_fields, naming_unknown

_RFC3339: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})",
    re.ASCII | re.IGNORECASE,
)
_NO_MOMENT: Final = (
    "must be an RFC 3339 time with an offset, such as 2026-04-09T12:00:00.000Z"
)
FIRST_YEAR: Final = 2000
LAST_YEAR: Final = 2100
"""The years that every database's and program's calendar supports."""

_HALF_A_PAIR: Final = re.compile(r"[\ud800-\udfff]")


class Request(BaseModel):
    """A request body: camelCase, no unknown fields, strict types."""

    # Only made from JSON, so no constructor needs the field names.
    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", strict=True, frozen=True
    )

    elsewhere: ClassVar[Mapping[str, str]] = {}
    """What to say of names that people look for here and that belong elsewhere."""

    @model_validator(mode="wrap")  # type: ignore[pydantic-alias]  # to_camel makes them
    @classmethod
    def _name_unknown(
        cls, data: object, handler: ModelWrapValidatorHandler[Self]
    ) -> Self:
        try:
            return handler(at_most_fields(data))
        except ValidationError as error:
            names = (to_camel(name) for name in cls.model_fields)
            raise naming_unknown(error, names, cls.elsewhere) from None


class Answer(BaseModel):
    """An answer's body: camelCase, every field always present.

    ``model_validate`` shows an object by its attributes of the same names.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        from_attributes=True,
        frozen=True,
    )


def _parse_moment(value: object) -> datetime:
    # Pydantic accepts "1700000000" and "2026-04-09" as times, even in strict mode.
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise ValueError(f"{_NO_MOMENT}{_why(value)}")
    try:
        moment = datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("is not in the calendar: no such day or hour") from None
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f"must be between {FIRST_YEAR} and {LAST_YEAR}")
    return moment


def _why(value: object) -> str:
    """Return what most likely went wrong with a time, if that can be told."""
    if not isinstance(value, str):
        return ""
    if _RFC3339.fullmatch(f"{value}Z"):
        return "; this has no offset: end it with Z, or for example +02:00"
    if _RFC3339.fullmatch(value[:-6] + value[-6:].replace(" ", "+")):
        return "; in a URL, + is written %2B"
    return ""


def _check_name(value: str) -> str:
    if problem := problem_with_name(value):
        raise ValueError(problem)
    return value


def _check_text(value: str) -> str:
    if "\0" in value:  # Postgres cannot store it
        raise ValueError("must not contain NUL characters")
    if _HALF_A_PAIR.search(value):
        raise ValueError("must be Unicode; there is half of a surrogate pair in it")
    return value


Moment = Annotated[datetime, BeforeValidator(_parse_moment)]
"""A time in a request."""

Timestamp = Annotated[
    datetime,
    PlainSerializer(iso_millis, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A time in an answer: UTC, milliseconds, Z."""

Name = Annotated[
    str,
    AfterValidator(_check_name),
    Field(
        json_schema_extra={
            "minLength": 1,
            "maxLength": MAX_NAME_LENGTH,
            "pattern": r"^[^|\u0000-\u001f\u007f-\u009f]+$",
        }
    ),
]
"""A caller's name of a project or an asset."""

Text = Annotated[str, AfterValidator(_check_text)]
"""Free text."""
