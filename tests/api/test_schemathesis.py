"""Schemathesis reads /openapi.json and finds no request that breaks its word.

https://schemathesis.readthedocs.io/
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from socket import socket
from threading import Thread
from typing import Any, Final

import httpx
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, settings
from hypothesis.errors import FlakyStrategyDefinition
from hypothesis.stateful import run_state_machine_as_test
from schemathesis import Case
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi import stateful
from schemathesis.specs.openapi.checks import negative_data_rejection

from app.machine.clock import SystemClock
from app.main import create_app
from app.sandbox.server import running_sandbox
from app.service import caller_limits
from app.service.keys import KeyService
from app.store.api_keys import KeyStore
from app.store.db.engine import Database
from tests.api.serving import CRON_SECRET, job_body, settings_of
from tests.support.databases import SqliteDatabases
from tests.support.patience import PATIENCE_SECONDS

# What no schema can say: a URL's host, two fields together (422), a stale state (400),
# TikTok's signature (401).
BEYOND_SCHEMAS: Final = ["2xx", "400", "401", "404", "409", "422"]

# They answer 200 to a job that would be refused, and say why: they are for that.
TELLING: Final = {"/v1/jobs/batch", "/v1/jobs/validate"}


@pytest.fixture(scope="module")
def served(
    sqlite_databases: SqliteDatabases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """Serve on loopback; give the address and a key."""
    # It tries hundreds of wrong keys, and is not to wait for each answer.
    database_url = sqlite_databases.create(tmp_path_factory.mktemp("fuzzed"))
    key = asyncio.run(make_key(database_url))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(caller_limits, "FREE", 10**9)
        with serving_on_loopback(database_url) as address:
            yield {"address": address, "key": key}


REFUSALS = ["400", "401", "403", "404", "405", "409", "413", "415", "422", "429"]
"""How what breaks the schema is refused; a body made up may be too large as well."""

schema = schemathesis.openapi.from_dict(
    create_app(settings_of("sqlite:///never-opened.db")).openapi(),
    config=SchemathesisConfig.from_dict(
        {
            "checks": {
                "positive_data_acceptance": {"expected-statuses": BEYOND_SCHEMAS},
                "negative_data_rejection": {"expected-statuses": REFUSALS},
            }
        }
    ),
).exclude(operation_id="streamJobs")  # its answer has no end


@schema.parametrize()
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_document_tells_the_truth(case: Case[Any], served: dict[str, str]) -> None:
    """Good and bad requests get only what is declared, and nothing is a 5xx."""
    token = CRON_SECRET if case.path == "/cron/tick" else served["key"]
    headers = {"Authorization": f"Bearer {token}"}
    case.call_and_validate(
        base_url=served["address"],
        headers=headers,
        excluded_checks=[negative_data_rejection] if case.path in TELLING else [],
    )


ROOTS: Final = {"GET /v1/jobs", "POST /v1/jobs"}
"""Where walks begin; schemathesis finds none by itself, as nothing makes projects."""

WALKS: Final = settings(
    derandomize=False,  # one that ends early would end so each time
    max_examples=15,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_no_walk_through_the_document_breaks_anything(
    served: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """List, look, change, cancel, retry, remove: in orders that nobody thought of."""
    monkeypatch.setattr(
        stateful, "is_likely_root_transition", lambda found, *_: found.label in ROOTS
    )
    headers = {"Authorization": f"Bearer {served['key']}"}
    statuses = Counter[tuple[str, int]]()

    def call(_: object, case: Case[Any], **__: object) -> object:
        return case.call(base_url=served["address"], headers=headers)

    def look(_: object, response: Any, case: Case[Any], **__: object) -> None:  # noqa: ANN401
        statuses[case.operation.label, response.status_code] += 1

    with httpx.Client(base_url=served["address"], headers=headers) as client:
        for number in range(20):
            made = client.post("/v1/jobs", json=job_body(assetId=f"walked_{number}"))
            assert made.status_code == 201
    machine = schema.as_state_machine()
    monkeypatch.setattr(machine, "call", call)
    monkeypatch.setattr(machine, "validate_response", look)
    # It came somewhere: by the ids of jobs that there were.
    while sum(count for (_, code), count in statuses.items() if code < 300) <= 20 or (
        len({label for (label, code) in statuses if code < 300}) < 4
    ):
        # A server's answers differ when a walk is begun again: Hypothesis ends then.
        with suppress(FlakyStrategyDefinition):
            run_state_machine_as_test(machine, settings=WALKS)
    broken = {code for (_, code) in statuses if code >= 500 and code != 503}
    assert broken == set(), statuses


async def make_key(database_url: str) -> str:
    """Make a key for every project."""
    database = Database(database_url)
    keys = KeyService(store=KeyStore(database), clock=SystemClock())
    _, secret = await keys.create("fuzzer", None)
    await database.close()
    return secret


@contextmanager
def serving_on_loopback(database_url: str) -> Iterator[str]:
    """Run the service and a simulated TikTok in a thread of their own."""
    server: Future[uvicorn.Server] = Future()
    thread = Thread(target=lambda: asyncio.run(serve(database_url, server)))
    thread.start()
    try:
        sockets = server.result(timeout=PATIENCE_SECONDS).servers[0].sockets
        yield f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    finally:
        server.result(timeout=PATIENCE_SECONDS).should_exit = True
        thread.join()


async def serve(database_url: str, started: Future[uvicorn.Server]) -> None:
    """Serve until told to stop; say when it listens."""
    async with running_sandbox() as tiktok:
        settings = settings_of(
            database_url,
            tiktok_api_base_url=tiktok.url,
            tiktok_client_key="sandbox",
            tiktok_client_secret="sandbox",
            tiktok_redirect_uri="http://127.0.0.1:8000/oauth/tiktok/callback",
        )
        config = uvicorn.Config(create_app(settings), port=0, log_config=None)
        await AnnouncedServer(config, started).serve()


class AnnouncedServer(uvicorn.Server):
    """Say when it listens."""

    def __init__(self, config: uvicorn.Config, started: Future[uvicorn.Server]) -> None:
        super().__init__(config)
        self._started = started

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Start, and pass itself on."""
        await super().startup(sockets)
        self._started.set_result(self)
