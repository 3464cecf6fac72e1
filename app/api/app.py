"""The FastAPI app: every route, the middleware, and the OpenAPI document."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Final

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from app import __version__
from app.api import problems
from app.api.auth import ApiKeyWall
from app.api.docs import openapi
from app.api.docs import page as docs
from app.api.middleware import PROBES, REQUEST_ID, BodyLimit, ErrorWall, RequestContext
from app.api.routes import (
    accounts,
    browser_tokens,
    cron,
    holds,
    job_actions,
    job_batches,
    jobs,
    media,
    oauth,
    ops,
    stream,
    tiktok_webhook,
    webhooks,
)

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

_ROUTERS: Final = (
    job_batches.router,
    stream.router,  # before /v1/jobs/{id}, which would match its path
    jobs.router,
    job_actions.router,
    accounts.router,
    accounts.list_router,
    browser_tokens.router,
    holds.router,
    oauth.connect_router,
    oauth.router,
    cron.router,
    webhooks.router,
    tiktok_webhook.router,
    media.router,
    ops.router,
    docs.router,
)


def build_app(
    *,
    lifespan: Lifespan,
    cors_origins: Sequence[str],
    tracer_provider: "TracerProvider | None" = None,
) -> FastAPI:
    """Make the app; ``lifespan`` puts the use cases into its state."""
    app = FastAPI(
        telemetry=_telemetry(tracer_provider),
        title="tiktok-scheduler",
        version=__version__,
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
        # FastAPI would look twice for the route of a router that is included.
        app.router.routes.extend(router.routes)
    openapi.install(app)
    return app


def _telemetry(provider: "TracerProvider | None") -> TelemetryConfig:
    """Trace requests if there is a collector; metrics and logs are our own."""
    return {
        "tracing": provider is not None,
        "tracer_provider": provider,
        "metrics": False,
        "logs": False,  # they would quote exceptions
        "operation_spans": False,
        "auto_configure": False,
        "exclude": lambda scope: scope["path"] in PROBES,
    }


def _middleware(cors_origins: Sequence[str]) -> list[Middleware]:
    """List the middleware, outermost first."""
    cors = Middleware(
        CORSMiddleware,
        allow_origins=cors_origins,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=[
            *("Authorization", "Content-Type", "Idempotency-Key"),
            *("Last-Event-ID", REQUEST_ID),
        ],
        expose_headers=[
            *("Idempotent-Replayed", "Idempotent-Replayed-Differs"),
            *("Location", "Retry-After", REQUEST_ID),
        ],
    )
    return [
        Middleware(RequestContext),
        *([cors] if cors_origins else []),
        Middleware(ErrorWall),
        Middleware(ApiKeyWall),
        Middleware(BodyLimit),
    ]
