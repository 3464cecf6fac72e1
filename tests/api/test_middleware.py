"""What happens to every request: its id, its size, its headers, its origin."""

import json
import logging
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from app.logs import configure_logging
from tests.api.serving import Api, job_body, serving

LIMIT = 64 * 1024


# Request ids


@pytest.mark.parametrize("given", ["a", "7f3c-11.ok_ID", "x" * 128])
async def test_a_sane_request_id_is_taken_over(edge: Api, given: str) -> None:
    """The caller's request id comes back."""
    response = await edge.client.get("/healthz", headers={"X-Request-ID": given})
    assert response.headers["x-request-id"] == given


@pytest.mark.parametrize(
    "given", ["", "x" * 129, "a b", "a\tb", "a;b", "<script>", "é", '"', "a/b"]
)
async def test_any_other_request_id_is_replaced(edge: Api, given: str) -> None:
    """An id that could forge a log line or a header is not repeated."""
    headers = {b"X-Request-ID": given.encode("latin-1")}
    response = await edge.client.get("/healthz", headers=headers)
    made = response.headers["x-request-id"]
    assert made != given
    assert len(made) == 32


async def test_requests_without_an_id_get_different_ones(edge: Api) -> None:
    """Made ids tell requests apart, and errors have one too."""
    paths = ("/healthz", "/healthz", "/nothing", "/v1/jobs?limit=0")
    responses = [await edge.client.get(path) for path in paths]
    assert len({each.headers["x-request-id"] for each in responses}) == 4


async def test_each_request_is_one_line_without_its_query(edge: Api) -> None:
    """The log says what was asked and how it went; a query may hold an OAuth code."""
    with capture_logs() as lines:
        await edge.client.get("/v1/jobs?cursor=secret-code")
    (line,) = lines
    assert (line["event"], line["method"], line["path"]) == (
        "request",
        "GET",
        "/v1/jobs",
    )
    assert line["status"] == 422
    assert "secret-code" not in str(line)


async def test_the_line_of_a_job_taken_in_names_it(edge: Api) -> None:
    """New or found again, and only on the line of its own request."""
    with capture_logs() as lines:
        job = await edge.job()
        await edge.post_job()
        await edge.client.get("/v1/jobs")
    *accepted, other = lines
    assert [line["status"] for line in accepted] == [201, 200]
    assert [(line["job_id"], line["project_id"]) for line in accepted] == [
        (job["id"], job["projectId"])
    ] * 2
    assert "job_id" not in other


async def test_probes_do_not_drown_the_log(edge: Api) -> None:
    """Probes of a load balancer are logged at debug level only."""
    with capture_logs() as lines:
        await edge.client.get("/healthz")
        await edge.client.get("/readyz")
    assert [line["log_level"] for line in lines] == ["debug", "debug"]


async def test_every_line_of_a_request_has_its_id(
    edge: Api, capsys: pytest.CaptureFixture[str], restored_logging: None
) -> None:
    """The id binds together what was logged on the way, by us and by libraries."""
    configure_logging("json", "info")

    @edge.app.get("/talkative")
    async def talkative() -> None:
        logging.getLogger("library").warning("on the way")
        raise ValueError("and then it broke")

    capsys.readouterr()
    await edge.client.get("/talkative", headers={"X-Request-ID": "r-1"})
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    events = [line["event"] for line in lines]
    assert events == ["on the way", "a request failed unexpectedly", "request"]
    assert {line["request_id"] for line in lines} == {"r-1"}


# Sizes


async def chunked(size: int, *, step: int = 1000) -> AsyncIterator[bytes]:
    """Send so many bytes without announcing how many."""
    for start in range(0, size, step):
        yield b"x" * min(step, size - start)


@pytest.mark.parametrize("path", ["/v1/jobs", "/cron/tick", "/healthz", "/nothing"])
async def test_a_body_over_64_kib_is_refused_everywhere(edge: Api, path: str) -> None:
    """One byte more than 64 KiB is a 413, announced or chunked, read or not."""
    for content in (b"x" * (LIMIT + 1), chunked(LIMIT + 1), chunked(20 * LIMIT)):
        response = await edge.client.post(path, content=content)
        assert response.status_code == 413
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["code"] == "body_too_large"


async def test_a_body_of_64_kib_is_read(edge: Api) -> None:
    """Exactly 64 KiB pass, announced or chunked: it is JSON that decides then."""
    for content in (b"x" * LIMIT, chunked(LIMIT)):
        response = await edge.client.post(
            "/v1/jobs", content=content, headers={"Content-Type": "application/json"}
        )
        assert response.status_code == 400


async def test_a_chunked_body_arrives_whole(edge: Api) -> None:
    """A body in many pieces is the same request."""

    async def pieces() -> AsyncIterator[bytes]:
        for byte in json.dumps(job_body()).encode():
            yield bytes([byte])

    response = await edge.client.post(
        "/v1/jobs", content=pieces(), headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 201


async def test_an_announced_giant_is_not_read(edge: Api) -> None:
    """A Content-Length of gigabytes is refused before anything is taken in."""
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        taken += 1
        yield b"x" * 1024

    response = await edge.client.post(
        "/v1/jobs", content=endless(), headers={"Content-Length": str(2**40)}
    )
    assert response.status_code == 413
    assert taken == 0


@pytest.mark.parametrize("length", ["-1", "abc", "²", "1e9"])
async def test_a_nonsense_length_helps_nobody(edge: Api, length: str) -> None:
    """Only what is really sent counts when the length cannot be read."""
    response = await edge.client.post(
        "/v1/jobs",
        content=chunked(LIMIT + 1),
        headers={b"Content-Length": length.encode()},
    )
    assert response.status_code == 413


# Headers


@pytest.mark.parametrize("path", ["/v1/jobs", "/healthz", "/nothing", "/cron/tick"])
async def test_answers_are_not_guessed_at_and_not_kept(edge: Api, path: str) -> None:
    """Browsers neither sniff nor cache nor run what the API says."""
    headers = (await edge.client.get(path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in headers["content-security-policy"]


# Origins

ORIGIN = "https://app.example.com"


async def test_a_known_origin_may_call(sqlite_url: str) -> None:
    """CORS_ORIGINS may call with a key and read our headers; preflights need none."""
    async with serving(sqlite_url, cors_origins=(ORIGIN,)) as api:
        async with api.stranger(Origin=ORIGIN) as browser:
            preflight = await browser.options(
                "/v1/jobs",
                headers={
                    "Access-Control-Request-Method": "PATCH",
                    "Access-Control-Request-Headers": "authorization,content-type",
                },
            )
            assert preflight.status_code == 200
            assert preflight.headers["access-control-allow-origin"] == ORIGIN
            refused = await browser.get("/v1/jobs")
        answer = await api.client.post(
            "/v1/jobs", json=job_body(), headers={"Origin": ORIGIN}
        )
        too_large = await api.client.post(
            "/v1/jobs", content=b"x" * (LIMIT + 1), headers={"Origin": ORIGIN}
        )
    # A browser shows its page no answer without this header, errors included.
    for response in (answer, refused, too_large):
        assert response.headers["access-control-allow-origin"] == ORIGIN
    exposed = answer.headers["access-control-expose-headers"]
    for name in ("Location", "Idempotent-Replayed", "Retry-After", "X-Request-ID"):
        assert name in exposed


async def test_another_origin_may_not(sqlite_url: str) -> None:
    """An origin that is not listed gets no permission, and no cookie ever counts."""
    async with serving(sqlite_url, cors_origins=(ORIGIN,)) as api:
        for origin in ("https://evil.example", "null", f"{ORIGIN}.evil.example"):
            headers = {"Origin": origin, "Access-Control-Request-Method": "GET"}
            response = await api.client.options("/v1/jobs", headers=headers)
            assert "access-control-allow-origin" not in response.headers
            response = await api.client.get("/v1/jobs", headers={"Origin": origin})
            assert "access-control-allow-origin" not in response.headers
            assert "access-control-allow-credentials" not in response.headers


async def test_without_origins_there_is_no_cors(edge: Api) -> None:
    """Unset, CORS_ORIGINS opens nothing to browsers elsewhere."""
    response = await edge.client.get("/v1/jobs", headers={"Origin": ORIGIN})
    assert "access-control-allow-origin" not in response.headers
