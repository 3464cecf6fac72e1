"""The least that FastAPI and asyncpg need to store a post: a yardstick.

    python -m bench.bare_api PORT DATABASE_URL

One route, one model, one insert into the same table with the same indexes. No keys, no
idempotency, no middleware, no log: it promises nothing.
"""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import uuid4

import asyncpg
import uvicorn
from fastapi import Depends, FastAPI, Request
from pydantic import BaseModel

from bench.servers import libpq_url

INSERT: Final = """
INSERT INTO schedule_jobs (id, project_id, platform, asset_id, asset_url, post, status,
    scheduled_for, post_now, idempotency_key, attempts, max_attempts, next_attempt_at,
    attempt_number, created_at, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, 'scheduled', $7, false, $8, 0, 5, $7, 0, $9, $9)
RETURNING id
"""


class NewPost(BaseModel):
    """What is posted."""

    projectId: str  # noqa: N815  the name in JSON
    platform: str = "tiktok"
    assetId: str  # noqa: N815  the name in JSON
    assetUrl: str  # noqa: N815  the name in JSON
    scheduledFor: datetime  # noqa: N815  the name in JSON
    post: dict[str, Any]


async def pool_of(request: Request) -> asyncpg.Pool:
    """Find the pool."""
    return request.app.state.pool


async def create(
    body: NewPost, pool: Annotated[asyncpg.Pool, Depends(pool_of)]
) -> dict[str, str]:
    """Insert one row."""
    now = datetime.now(UTC)
    job_id = await pool.fetchval(
        INSERT,
        str(uuid4()),
        body.projectId,
        body.platform,
        body.assetId,
        body.assetUrl,
        json.dumps(body.post),
        body.scheduledFor,
        uuid4().hex,
        now,
    )
    return {"id": job_id}


def bare_app(url: str) -> FastAPI:
    """Make the app."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with asyncpg.create_pool(libpq_url(url), max_size=10) as pool:
            app.state.pool = pool
            yield

    app = FastAPI(lifespan=lifespan)
    app.post("/v1/jobs", status_code=201)(create)
    return app


if __name__ == "__main__":
    port, url = sys.argv[1:]
    uvicorn.run(bare_app(url), port=int(port), access_log=False, log_level="warning")
