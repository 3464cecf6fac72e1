"""Unknown query parameters: refused under /v1, as unknown fields of a body are."""

from itertools import islice
from typing import Final

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.datastructures import QueryParams
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.auth import GUARDED
from app.api.problems import problem_of
from app.domain.errors import InvalidInput
from app.schemas.invalid import MOST, UNKNOWN, field_error

_FOUND: Final = {"type": UNKNOWN, "msg": "is not known here"}


class _TakesNone:
    """A route that refuses any query parameter."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what asks for nothing else."""
        names = QueryParams(scope["query_string"]) if scope["query_string"] else ()
        wrong = [
            field_error({**_FOUND, "loc": (name,)}) for name in islice(names, MOST)
        ]
        answer = problem_of(InvalidInput(*wrong)) if wrong else self._app
        await answer(scope, receive, send)


def refuse_queries(router: APIRouter) -> None:
    """Let the routes under /v1 that take no query parameters refuse them all.

    The others name theirs in a model, which refuses what it does not name.
    """
    for route in router.routes:
        if (
            isinstance(route, APIRoute)
            and route.path.startswith(GUARDED)
            and not route.dependant.query_params
        ):
            route.app = _TakesNone(route.app)
