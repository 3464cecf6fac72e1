"""What every error looks like, and what is wrong with a body.

https://www.rfc-editor.org/rfc/rfc9457
"""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final

from pydantic import BaseModel, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import InitErrorDetails, PydanticCustomError

from app.domain.errors import FieldError, in_our_words

UNKNOWN: Final = "unknown_field"
REQUIRED: Final = "missing"
MOST: Final = 50
"""How many things that are wrong with a body a caller is told."""

_MOST_FIELDS: Final = 2 * MOST  # more than any of our models has, and MOST besides
_LONGEST_NAME: Final = 64  # none of ours is longer, so none can have been meant

_CODES: Final = {REQUIRED: "required", UNKNOWN: UNKNOWN}
_OBJECT: Final = "must be an object"
_MESSAGES: Final = {
    REQUIRED: "is required",
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "string_pattern_mismatch": "must be visible ASCII characters, without spaces",
}
_LENGTHS: Final = {
    "too_long": "at most {max_length:,}",
    "string_too_long": "at most {max_length:,}",
    "too_short": "at least {min_length:,}",
    "string_too_short": "at least {min_length:,}",
}
_LISTS: Final = frozenset({"List", "Dictionary"})


def at_most_fields(data: object) -> object:
    """Return a body with ``_MOST_FIELDS`` at most: what has more is refused anyway.

    Of a hundred thousand unknown fields each would be an error of its own, and putting
    them together takes a second in which nobody else is served.
    """
    if isinstance(data, dict) and len(data) > _MOST_FIELDS:
        return dict(islice(data.items(), _MOST_FIELDS))
    return data


def naming_unknown(
    error: ValidationError, names: Iterable[str], elsewhere: Mapping[str, str]
) -> ValidationError:
    """Suggest for each unknown field which one may have been meant.

    ``elsewhere`` tells of names that are known in another place.
    """
    known = tuple(names)
    found = error.errors(include_url=False)[:MOST]
    return ValidationError.from_exception_data(
        error.title,
        [_detail(each, known, elsewhere) for each in found],
        hide_input=True,
    )


def given_often(name: str, times: int) -> FieldError:
    """Say that a parameter or header may be given only once."""
    return FieldError(f"/{name}", f"is given {times} times; give it once")


def field_error(found: Mapping[str, Any], *, skip: int = 0) -> FieldError:
    """Convert pydantic's error to the form that callers see.

    It names only field and rule, as the rejected value may be a secret. ``skip`` leaves
    out the first parts of the path.
    """
    places = found["loc"][skip:]
    if found["loc"][:1] == ("query",):  # for a repeated parameter, only its name
        places = places[:1]
    if places[-1:] == ("[key]",):  # pydantic's way to say that a name is wrong
        places = places[:-1]
    return FieldError(
        pointer_to(*places), _message(found), _CODES.get(found["type"], "invalid")
    )


def pointer_to(*places: object) -> str:
    """Return the JSON pointer of a place, as RFC 6901 spells it."""
    parts = (str(each).replace("~", "~0").replace("/", "~1") for each in places)
    return "".join(f"/{part}" for part in parts)


def _message(found: Mapping[str, Any]) -> str:
    """Return what is wrong in words about the value, where pydantic's are not."""
    kind, about = found["type"], found.get("ctx")
    if kind not in _LENGTHS or not about:
        return _MESSAGES.get(kind) or in_our_words(found["msg"])
    unit = "item" if about.get("field_type") in _LISTS else "character"
    if 1 not in {about.get("min_length"), about.get("max_length")}:
        unit += "s"
    length = about.get("actual_length")
    told = f"; this has {length:,}" if isinstance(length, int) else ""
    return f"must have {_LENGTHS[kind].format(**about)} {unit}{told}"


def _detail(
    found: Mapping[str, Any], known: tuple[str, ...], elsewhere: Mapping[str, str]
) -> InitErrorDetails:
    kind, message = found["type"], _message(found)
    if kind == "extra_forbidden" and len(found["loc"]) == 1:
        name = str(found["loc"][0])
        kind, message = UNKNOWN, elsewhere.get(name) or unknown(name, known)
    return InitErrorDetails(
        type=PydanticCustomError(kind, message), loc=found["loc"], input=None
    )


def unknown(name: str, known: Iterable[str]) -> str:
    """Return what to say of an unknown name, and which may have been meant."""
    if len(name) > _LONGEST_NAME:
        return "is not known here"
    # Imported here, so that no start waits for it.
    from difflib import get_close_matches

    by_lower = {each.lower(): each for each in known}
    wanted = to_camel(name.replace("-", "_").lower()) if "_" in name else name
    close = get_close_matches(wanted.lower(), by_lower, n=1)
    meant = f"; did you mean {by_lower[close[0]]}?" if close else ""
    return f"is not known here{meant}"


class ProblemError(BaseModel):
    """What is wrong with one field."""

    pointer: str = Field(description="JSON pointer into the body, or /parameter")
    detail: str


class Problem(BaseModel):
    """What every error looks like."""

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable; this is what programs should look at")
    errors: list[ProblemError] | None = Field(None, description="With status 422")
    reason: str | None = Field(
        None, description="With posting_not_allowed: TikTok's own code"
    )
    id: str | None = Field(None, description="With may_have_been_stored: the job's")
