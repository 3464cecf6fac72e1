"""What whoever runs the programs can see of them from outside."""

import json
import resource
from typing import Any

import httpx
import pytest

from app.domain.jobs.job import JobStatus
from app.machine.descriptors import HIGHEST
from tests.support.patience import PATIENCE_SECONDS
from tests.system.programs import Program, free_port
from tests.system.site import Site


async def lines_of(program: Program) -> list[dict[str, Any]]:
    """Stop a program and read its log, each line by itself."""
    ended = await program.stop()
    return [json.loads(line) for line in ended.err.splitlines()]


async def test_a_workers_metrics_can_be_read_on_a_port(site: Site) -> None:
    """No HTTP unless a port is given; then the figures of what it did."""
    port = free_port()
    worker = await site.programs.start("worker", "--metrics-port", str(port))
    job = await site.ended(await site.post())
    assert job.status is JobStatus.POSTED
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_SECONDS
    ) as client:
        figures = (await client.get("/metrics")).text.splitlines()
        ready = (await client.get("/readyz")).json()
    assert "scheduler_posted_lateness_seconds_count 1.0" in figures
    assert 'scheduler_tiktok_calls_total{code="ok",endpoint="init"} 1.0' in figures
    assert 'scheduler_jobs_ended_total{reason="published",status="posted"} 1.0' in (
        figures
    )
    assert ready["checks"]["runner"] == "ok"
    ended = await worker.stop()
    assert ended.code == 0


async def test_the_port_can_come_from_the_environment(sqlite_site: Site) -> None:
    """Containers are told so."""
    port = free_port()
    worker = await sqlite_site.programs.start("worker", METRICS_PORT=str(port))
    await worker.says("metrics served")
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client:
        answer = await client.get(f"http://127.0.0.1:{port}/healthz")
    assert answer.status_code == 200


async def test_a_port_in_use_is_one_line(sqlite_site: Site) -> None:
    """What the operator can mend is no traceback."""
    port = free_port()
    first = await sqlite_site.programs.start("worker", METRICS_PORT=str(port))
    await first.says("metrics served")
    second = await sqlite_site.programs.run("worker", METRICS_PORT=str(port))
    assert second.code == 1
    assert "Traceback" not in second.err
    assert "address already in use" in second.err


async def test_each_line_of_a_server_says_whose_it_is(site: Site) -> None:
    """One JSON object a line: a request's by its id, an attempt's by its job.

    Nothing else tells which of a thousand posts a line is about.
    """
    server, url = await site.serve(LOG_FORMAT="json")
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_SECONDS) as client:
        await client.get("/v1/jobs?state=secret-state", headers={"X-Request-ID": "r-1"})
    job = await site.ended(await site.post())
    lines = await lines_of(server)

    assert all(
        {"timestamp", "level", "logger", "event"} <= line.keys() for line in lines
    )
    assert any(line["logger"].startswith("uvicorn") for line in lines)
    (access,) = (line for line in lines if line["event"] == "request")
    assert (access["request_id"], access["status"]) == ("r-1", 401)
    assert (access["method"], access["path"]) == ("GET", "/v1/jobs")
    (over,) = (line for line in lines if line["event"] == "attempt over")
    assert (over["job_id"], over["project_id"]) == (job.id, job.project_id)
    assert (over["attempt"], over["outcome"], over["status"]) == (
        (1, "Published", "posted")
    )
    assert "secret-state" not in json.dumps(lines)


@pytest.mark.skipif(
    not hasattr(resource, "prlimit"), reason="only Linux tells of another's limits"
)
async def test_a_worker_takes_all_the_descriptors_it_may(sqlite_site: Site) -> None:
    """A shell's soft limit is no bound where the hard one is higher."""
    programs = sqlite_site.programs
    programs.wrapper = ("sh", "-c", 'ulimit -Sn 256 && exec "$0" "$@"')
    worker = await programs.start("worker")
    await worker.says("worker started")
    soft, hard = resource.prlimit(worker.process.pid, resource.RLIMIT_NOFILE)
    assert soft == min(hard, HIGHEST) > 256
