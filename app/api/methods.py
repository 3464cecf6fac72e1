"""Which methods a path knows, over all its routes."""

from typing import Final

from fastapi import Request
from starlette.routing import Match

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


def allowed_methods(request: Request) -> str:
    """Write an Allow header; Starlette's own names the first matching route's alone.

    https://www.rfc-editor.org/rfc/rfc9110#field.allow
    """
    return ", ".join(method for method in _METHODS if _is_routed(request, method))


def _is_routed(request: Request, method: str) -> bool:
    scope = {**request.scope, "method": method}
    routes = request.app.router.routes
    return any(route.matches(scope)[0] is Match.FULL for route in routes)
