"""Whoever has an upload URL can publish, and a signed link opens somebody's store."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest

from app.domain.jobs.job import Job, JobStatus, Transfer
from app.runner.attempts.live_effects import LiveEffects
from app.sandbox.recording import Call
from tests.runner.outlets import Outlets, watched
from tests.runner.stage import Stage, Worker
from tests.runner.test_runner_push import push, pusher
from tests.runner.upload_front import Put, UploadFront, fronted
from tests.support.outbox import listen
from tests.tiktok.chaos import response

SECRET: Final = "SesameOpenNowPlease"
QUERY: Final = f"upload_id=7&upload_token={SECRET}"
OWN: Final = (
    "the job",
    "the API's answer",
    "the database",
    "SQLite's files",
    "objects",
    "events",  # they show the job
    "the simulator's record",  # TikTok is told where to pull
    "libraries' log lines",  # of asyncio's debug mode: what a statement writes
)
Trouble = Callable[[Stage, UploadFront], None]


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """Give a folder of its own, beside the database's files."""
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


def answered(raw: Callable[[Put], bytes]) -> Trouble:
    """Let the host answer the second chunk, once, with something that may quote it."""

    def strike(_: Stage, front: UploadFront) -> None:
        front.after = lambda put: raw(put) if put.number == 2 else None

    return strike


def broken(kind: str, *, chunk: int = 1, **fault: object) -> Trouble:
    """Let the simulator do something to a chunk, once."""

    def strike(stage: Stage, _: UploadFront) -> None:
        stage.fault("upload", kind, rule={"match": {"chunk": chunk}}, **fault)

    return strike


def issued(**data: object) -> Trouble:
    """Let the init's answer hold this."""

    def strike(stage: Stage, _: UploadFront) -> None:
        stage.fault("init", "reshape", change=data)

    return strike


def without_id(stage: Stage, _: UploadFront) -> None:
    """Let the init's answer name a URL and no id."""
    stage.fault(
        "init",
        "reshape",
        change={"upload_url": f"http://h/?{QUERY}"},
        omit=("publish_id",),
    )


def quoted(call: str, **rule: object) -> Trouble:
    """Let TikTok refuse something, and quote the URL in its message."""

    def strike(stage: Stage, _: UploadFront) -> None:
        said = f"no upload at https://u.tiktokapis.com/video/?{QUERY}"
        if call == "status":
            stage.fault("upload", "upload_answer", httpStatus=416)
        stage.fault(call, "error", code="invalid_param", message=said, rule=rule)

    return strike


TROUBLES: Final[dict[str, Trouble]] = {
    "none": lambda _stage, _front: None,
    "cut": broken("cut"),
    "reset before": broken("reset"),
    "reset after the last": broken("reset", chunk=3, taken=True),
    "garbage": answered(lambda put: b"what is " + put.head),
    "half an answer": answered(lambda put: response(put.head)[:-9]),
    "a header too many": answered(
        lambda put: b"HTTP/1.1 206 " + put.token.encode() + b"\r\nX:" + put.head
    ),
    "403": answered(lambda put: response(put.head, status=403)),
    "400": answered(lambda put: response(put.head, status=400)),
    "404": answered(lambda put: response(put.head, status=404)),
    "416": answered(lambda put: response(put.head, status=416)),
    "503": answered(lambda put: response(put.head, status=503)),
    "redirect": answered(
        lambda put: response(
            b"", status=307, Location=f"https://u.example/?upload_token={put.token}"
        )
    ),
    "its ids": answered(
        lambda put: response(
            b"", status=503, X_Tt_Logid=put.token, Content_Range=put.token
        )
    ),
    "the URL as log id": answered(
        lambda put: response(
            b"", status=403, X_Tt_Logid=f"/video/?upload_token={put.token}"
        )
    ),
    "silence": broken("hang"),
    "no TLS": issued(upload_url=f"https://127.0.0.1:1/video/?{QUERY}"),
    "nobody": issued(upload_url=f"http://127.0.0.1:1/video/?{QUERY}"),
    "elsewhere": issued(upload_url=f"https://elsewhere.example/?{QUERY}"),
    "another port": issued(upload_url=f"http://127.0.0.1:70000/?{QUERY}"),
    "not ASCII": issued(upload_url=f"http://127.0.0.1:1/\u00fc?{QUERY}"),
    "a blank": issued(upload_url=f"http://127.0.0.1:1/ ?{QUERY}"),
    "a person": issued(upload_url=f"http://{SECRET}:{SECRET}@127.0.0.1:1/?{QUERY}"),
    "no URL": issued(upload_url=f"//?{QUERY}"),
    "a list": issued(upload_url=[QUERY]),
    "no id": without_id,
    "init quotes it": quoted("init"),
    "status quotes it": quoted("status"),
}


async def rounds(stage: Stage, worker: Worker, job: Job) -> None:
    """Tick until the job is over, a few times at most."""
    for _ in range(3):
        await worker.tick()
        now = await worker.job(job)
        if now.status in {JobStatus.POSTED, JobStatus.FAILED}:
            return
        stage.clock.go_to(now.next_attempt_at)


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_no_outlet_shows_an_upload_urls_token(
    stage: Stage, trouble: str, monkeypatch: pytest.MonkeyPatch, spool: Path
) -> None:
    """Whatever goes wrong: no line, row, answer, story, event, trace or repr has it."""
    async with fronted(stage) as front:
        with watched(monkeypatch, spool) as outlets:
            worker = await pusher(stage, spool_dir=spool, http_timeout_seconds=1)
            await prepared(stage, worker, outlets, monkeypatch)
            TROUBLES[trouble](stage, front)
            job = await push(stage, worker)
            await rounds(stage, worker, job)
            found = await outlets.all(stage, worker, job)
    tokens = {SECRET, *(put.token for put in front.puts)}
    tokens |= {it.upload.token for it in stage.tiktok.sandbox.posts if it.upload}
    assert stage.calls(Call.INIT)
    assert "attempt over" in found["log events, before anything is redacted"]
    assert "unexpectedly" not in repr(outlets.logs.entries)
    assert not leaks(found, tokens)


async def prepared(
    stage: Stage, worker: Worker, outlets: Outlets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connect an account, listen to events, and look at objects under way."""

    async def jump(_: LiveEffects, seconds: float) -> None:
        stage.clock.go_on(timedelta(seconds=seconds))

    monkeypatch.setattr(LiveEffects, "pause", jump)
    await stage.connect(worker, "proj_1")
    database = worker.container.database
    await listen(database, stage.tiktok.url, now=stage.clock.now())

    async def look() -> None:
        worker.tiktok.before.clear()
        outlets.look_at_objects()

    worker.tiktok.before["upload"] = look


def leaks(found: dict[str, str], secrets: set[str]) -> dict[str, str]:
    """Show where a secret stands, with what stands around it."""
    return {
        name: text[max(0, text.index(secret) - 200) : text.index(secret) + 50]
        for name, text in found.items()
        for secret in secrets
        if secret in text
    }


SOURCES: Final = (
    "bytes=450000",
    "status=403",
    "redirect=1&location=https://u.example/%3FX-Amz-Signature=" + SECRET,
    "bytes=450000&cutAfter=250000&range=0",
    "bytes=450000&changeAfter=1",
)


@pytest.mark.parametrize("transfer", Transfer)
@pytest.mark.parametrize("source", SOURCES)
async def test_no_outlet_shows_a_signed_links_secret(
    stage: Stage,
    source: str,
    transfer: Transfer,
    monkeypatch: pytest.MonkeyPatch,
    spool: Path,
) -> None:
    """It stands in the job's own ``assetUrl``, for its owner, and nowhere else."""
    with watched(monkeypatch, spool) as outlets:
        worker = await pusher(stage, spool_dir=spool, http_timeout_seconds=1)
        await prepared(stage, worker, outlets, monkeypatch)
        query = f"{source}&X-Amz-Signature={SECRET}"
        url = f"{stage.tiktok.url}/_sandbox/video.mp4?{query}"
        stage.fault("upload", "reset", rule={"match": {"chunk": 1}})
        said = "TikTok cannot take it"
        stage.fault("init", "error", code="internal_error", message=said)
        job = await stage.job(worker, asset_url=url, transfer=transfer)
        await rounds(stage, worker, job)
        found = await outlets.all(stage, worker, job)
    for name in OWN:
        found[name] = found[name].replace(url, "").replace(quote(url, safe=""), "")
    assert not leaks(found, {SECRET})
