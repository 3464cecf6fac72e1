"""The FastAPI app: every route, every wall, and the OpenAPI document."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final

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
    openapi,
    ops,
    problems,
    project_jobs,
    tiktok_webhook,
    webhooks,
)
from app.api.auth import ApiKeyWall
from app.api.middleware import REQUEST_ID, BodyLimit, ErrorWall, RequestContext

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

_ROUTERS: Final = (
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


def build_app(*, lifespan: Lifespan, cors_origins: Sequence[str]) -> FastAPI:
    """Make the app; ``lifespan`` puts the Services into its state."""
    app = FastAPI(
        title="tiktok-scheduler",
        version="0.1.0",
        description=openapi.DESCRIPTION,
        openapi_tags=[
            {"name": name, "description": text} for name, text in openapi.TAGS
        ],
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        middleware=_middleware(cors_origins),
    )
    problems.install(app)
    for router in _ROUTERS:
        app.include_router(router)
    openapi.install(app)
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
