"""The methods that a path allows, over all its routes."""

from typing import Final

from fastapi import Request
from fastapi.routing import iter_route_contexts
from starlette.routing import Match

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


def allowed_methods(request: Request) -> str:
    """Return an Allow header; Starlette's own has only the first matching route's.

    A literal path is no other route's parameter: /v1/jobs/batch is no job.
    https://www.rfc-editor.org/rfc/rfc9110#field.allow
    """
    path = request.scope["path"]
    routes = iter_route_contexts(request.app.routes)
    written_out = {
        method
        for route in routes
        if route.path == path
        for method in route.methods or ()
    }
    return ", ".join(
        method
        for method in _METHODS
        if (method in written_out if written_out else _is_routed(request, method))
    )


def _is_routed(request: Request, method: str) -> bool:
    scope = {**request.scope, "method": method}
    routes = request.app.router.routes
    return any(route.matches(scope)[0] is Match.FULL for route in routes)
