"""Routes that refuse a query they would misunderstand."""

from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from itertools import islice
from typing import Any, get_origin
from urllib.parse import parse_qsl

from fastapi import Request, Response
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import ParamTypes
from fastapi.routing import APIRoute

from app.domain.errors import FieldError, InvalidInput
from app.schemas.invalid import MOST, UNKNOWN, given_often, pointer_to, unknown

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class StrictRoute(APIRoute):
    """A route that refuses unknown query parameters, and a single one given twice.

    FastAPI takes the last of two, and ignores what it does not know: a `dryRun` at the
    wrong place would do what it was to prevent.
    """

    def get_route_handler(self) -> Handler:
        """Return the handler; without a query it does nothing more."""
        handle = super().get_route_handler()
        known = {
            field.alias: get_origin(field.field_info.annotation) is list
            for field in get_flat_params(self.dependant)
            if getattr(field.field_info, "in_", ParamTypes.query)
            is ParamTypes.query  # or of a model
        }

        async def strict(request: Request) -> Response:
            query: bytes = request.scope["query_string"]
            # What each of thousands may have meant is not looked for.
            if query and (wrong := list(islice(_wrong(query, known), MOST))):
                raise InvalidInput(*wrong)
            return await handle(request)

        return strict


def _wrong(query: bytes, known: Mapping[str, bool]) -> Iterator[FieldError]:
    """Yield what is wrong with a query; ``known`` tells which names may repeat."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    for name, times in Counter(name for name, _ in pairs).items():
        if name not in known:
            yield FieldError(pointer_to(name), unknown(name, known), UNKNOWN)
        elif times > 1 and not known[name]:
            yield given_often(name, times)
