"""A session's requests and the headers of their answers."""

import httpx
import pytest

from app.tiktok import encode
from app.tiktok.transport.session import Http
from app.tiktok.wire import ApiAnswer

CALLS = (encode.creator_info("token_1"), encode.status("token_1", "pub_1"))


class Wire(httpx.AsyncBaseTransport):
    """Answers every request alike, and keeps it."""

    def __init__(self, *headers: tuple[str, str]) -> None:
        self.headers = list(headers)
        self.seen: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        self.seen.append(request)
        stream = httpx.ByteStream(b"{}")
        return httpx.Response(200, headers=self.headers, stream=stream)


async def test_each_call_has_its_own_token() -> None:
    """Headers are made once for all calls with a token, and anew for another."""
    wire = Wire()
    session = Http(transport=wire).connect("http://tiktok.example")
    others = encode.status("token_2", "a longer publish_id")
    for call in (*CALLS, others, *CALLS):
        await session.send(call, seconds=10)
    for call, request in zip((*CALLS, others, *CALLS), wire.seen, strict=True):
        names = [name.lower() for name, _ in request.headers.raw]
        assert len(names) == len(set(names))
        assert request.headers["authorization"] == call.headers["Authorization"]
        assert request.headers["host"] == "tiktok.example"


@pytest.mark.parametrize("name", ["Retry-After", "retry-after"])
async def test_an_answers_headers_are_read_by_any_spelling(name: str) -> None:
    """As HTTP has it: https://www.rfc-editor.org/rfc/rfc9110#section-5.1."""
    wire = Wire((name, "7"), ("X-TT-LOGID", "log"), ("date", "nonsense"))
    answer = await Http(transport=wire).connect("http://x").send(CALLS[0], seconds=10)
    assert isinstance(answer, ApiAnswer)
    assert (answer.retry_after, answer.log_id, answer.said_at) == (7, "log", None)
