"""The FastAPI app: every route, every wall, and the OpenAPI document."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from app.api import (
    accounts,
    cron,
    docs,
    jobs,
    media,
    oauth,
    ops,
    problems,
    project_jobs,
    stream,
    tiktok_webhook,
    webhooks,
)
from app.api.auth import ApiKeyWall
from app.api.middleware import REQUEST_ID, BodyLimit, ErrorWall, RequestContext

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

_ROUTERS: Final = (
    stream.router,  # before the jobs, or "stream" would be taken for an id
    jobs.router,
    project_jobs.router,
    accounts.router,
    oauth.router,
    cron.router,
    webhooks.router,
    tiktok_webhook.router,
    media.router,
    ops.router,
    docs.router,
)
_TAGS: Final = (
    ("Jobs", "One video that goes to one TikTok account once."),
    ("Accounts", "One TikTok account per project."),
    ("Cron", "For where no process may stay: one call runs what is due."),
    ("Webhooks", "What TikTok tells us, and what we tell you."),
    ("Operations", "For whoever runs the service."),
)
_DESCRIPTION: Final = """
Posts videos to TikTok at the time their owner chose: never twice, never lost, never
"posted" when it is not true.

Everything under `/v1` needs `Authorization: Bearer <key>`, with a key from
`tiktok-scheduler keys create`. Errors are `application/problem+json`; programs look
at their `code`. Times are RFC 3339 with an offset.
"""


def build_app(*, lifespan: Lifespan, cors_origins: Sequence[str]) -> FastAPI:
    """Make the app; ``lifespan`` puts the Services into its state."""
    app = FastAPI(
        title="tiktok-scheduler",
        version="0.1.0",
        description=_DESCRIPTION,
        openapi_tags=[{"name": name, "description": text} for name, text in _TAGS],
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        middleware=_middleware(cors_origins),
    )
    problems.install(app)
    for router in _ROUTERS:
        app.include_router(router)
    _document_problems(app)
    return app


def _middleware(cors_origins: Sequence[str]) -> list[Middleware]:
    """Line up the walls, outermost first."""
    cors = Middleware(
        CORSMiddleware,
        allow_origins=cors_origins,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Last-Event-ID", REQUEST_ID],
        expose_headers=["Idempotent-Replayed", "Location", "Retry-After", REQUEST_ID],
    )
    return [
        Middleware(RequestContext),
        *([cors] if cors_origins else []),
        Middleware(ErrorWall),
        Middleware(BodyLimit),
        Middleware(ApiKeyWall),
    ]


def _document_problems(app: FastAPI) -> None:
    """Add the schema that every declared problem refers to."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        template = "#/components/schemas/{model}"
        schema = problems.Problem.model_json_schema(ref_template=template)
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas.update(schema.pop("$defs"), Problem=schema)
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own recipe
