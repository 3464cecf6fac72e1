"""For every answer of an upload host, only the video's bytes are sent, in order."""

from typing import Any

import pytest

from app.domain.jobs.job import JobStatus
from tests.runner.stage import Stage
from tests.runner.test_runner_push import hash_of, published, push, pusher
from tests.runner.upload_front import Put, fronted
from tests.tiktok.chaos import response

MEGABYTE = 1_000_000
CHUNK = 6 * MEGABYTE  # more than the buffers on the way take
SIZE = 3 * CHUNK
QUERY = f"bytes={SIZE}&seed=7"


def refused_early(status: int, **headers: str) -> dict[str, Any]:
    """Answer the second chunk wrongly though it was taken, and then too early."""

    def after(put: Put) -> bytes | None:
        return response(b"", status=503) if put.number == 2 else None

    def instead(put: Put) -> bytes | None:
        return response(b"", status=status, **headers) if put.number == 3 else None

    return {"after": after, "instead": instead}


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 416},
        {"status": 206},
        {"status": 206, "Content_Range": f"bytes 0-{2 * CHUNK}/{SIZE}"},
        {"status": 201},
    ],
    ids=["416", "206", "206 with a range", "201"],
)
async def test_a_chunk_answered_before_it_was_read_leaves_no_gap(
    stage: Stage, answer: dict[str, Any]
) -> None:
    """TikTok has the chunk, but the source was read only in part: it is moved."""
    worker = await pusher(stage, upload_whole_bytes=CHUNK, upload_chunk_bytes=CHUNK)
    await stage.connect(worker, "proj_1")
    async with fronted(stage, **refused_early(**answer)):
        job = await push(stage, worker, query=QUERY)
        await worker.tick()
        done = await worker.job(job)
    assert done.status is JobStatus.POSTED, done.last_error
    (post,) = published(stage)
    assert post.sha256 == await hash_of(stage, QUERY)
