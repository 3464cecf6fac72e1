"""Whom a proxy names is believed of trusted proxies alone."""

import httpx
import pytest

from tests.system.programs import Programs, free_port

NAMED = {"X-Forwarded-For": "203.0.113.7"}


@pytest.mark.parametrize(
    ("trusted", "peer"),
    [("", "127.0.0.1"), ("192.0.2.1", "127.0.0.1"), ("127.0.0.0/8", "203.0.113.7")],
)
async def test_the_caller_is_whom_a_trusted_proxy_names(
    programs: Programs, trusted: str, peer: str
) -> None:
    """Nobody is trusted unless it is said, not even this machine."""
    port = free_port()
    env = {"TRUSTED_PROXIES": trusted, "LOG_FORMAT": "json"}
    server = await programs.start("serve", "--port", str(port), **env)
    await server.says("Uvicorn running")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as caller:
        await caller.get("/v1/jobs", headers=NAMED)
    await server.says('"path": "/v1/jobs"')
    assert f'"peer": "{peer}"' in server.err.read_text()


async def test_a_proxy_that_is_no_address_stops_the_start(programs: Programs) -> None:
    """A name would have to be looked up at each request."""
    ended = await programs.run("serve", "--port", "0", TRUSTED_PROXIES="proxy.internal")
    assert ended.code == 1
    assert "TRUSTED_PROXIES" in ended.err
