"""Requests stay on the event loop."""

import anyio.to_thread
import pytest

from tests.api.serving import Api


async def test_no_request_is_handed_to_a_thread(
    edge: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A route or dependency that is no coroutine would cost a thread's wake-up."""

    async def handed_over(function: object, *_: object, **__: object) -> None:
        raise AssertionError(f"{function} runs in a thread")

    monkeypatch.setattr(anyio.to_thread, "run_sync", handed_over)
    assert (await edge.client.get("/v1/jobs")).status_code == 200
    assert (await edge.client.get("/healthz")).status_code == 200
