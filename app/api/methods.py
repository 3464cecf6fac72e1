"""Which methods a path knows, over all its routes."""

from typing import Final

from fastapi import Request
from starlette.routing import Match

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


def allowed_methods(request: Request) -> str:
    """Write an Allow header; Starlette's own names the first matching route's alone.

    A path that is written out is no other one's parameter: /v1/jobs/batch is no job.
    https://www.rfc-editor.org/rfc/rfc9110#field.allow
    """
    found = {method: _parameters(request, method) for method in _METHODS}
    routed = {method: names for method, names in found.items() if names is not None}
    written_out = [method for method, names in routed.items() if not names]
    return ", ".join(written_out or routed)


def _parameters(request: Request, method: str) -> frozenset[str] | None:
    """Name the parameters of the first route that takes a method, None without one."""
    scope = {**request.scope, "method": method, "path_params": {}}
    for route in request.app.router.routes:
        match, found = route.matches(scope)
        if match is Match.FULL:
            return frozenset(found.get("path_params", ()))
    return None
