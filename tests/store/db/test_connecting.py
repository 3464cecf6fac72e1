"""Why no session can be had: what the server or the system said, and no secret."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url, text
from structlog.testing import capture_logs

from app.domain.errors import StoreUnavailable
from app.store.db.engine import Database
from app.store.db.outage import DatabaseUnreachable
from app.store.db.postgres.session import Sessions
from tests.support.certificates import make_certificate
from tests.support.patience import PATIENCE_SECONDS
from tests.support.postgres import PostgresServer
from tests.support.sql import execute_now

SECRET = "open-sesame"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """Give a server with TLS, passwords and roles that may not come in."""
    folder = tmp_path_factory.mktemp("guarded")
    access = (
        "hostssl all tls_only 127.0.0.1/32 trust",
        "hostnossl all tls_only 127.0.0.1/32 reject",
        "hostnossl all plain_only 127.0.0.1/32 trust",
        "hostssl all plain_only 127.0.0.1/32 reject",
        "host all with_password 127.0.0.1/32 scram-sha-256",
    )
    certificate = make_certificate(folder).path
    with PostgresServer(access=access, certificate=certificate) as server:
        execute_now(
            server.url,
            f"CREATE ROLE with_password LOGIN PASSWORD '{SECRET}'",
            "CREATE ROLE tls_only LOGIN",
            "CREATE ROLE plain_only LOGIN",
            "CREATE ROLE sleeper NOLOGIN",
            "CREATE ROLE alone LOGIN CONNECTION LIMIT 0",
            "SELECT 1",
        )
        (folder / "ca.pem").write_bytes(certificate.read_bytes())
        yield server


async def read_one(database: Database) -> int:
    """Ask for a number."""
    async with database.read() as connection:
        return int((await connection.execute(text("SELECT 1"))).scalar_one())


@asynccontextmanager
async def opened(server: PostgresServer, query: str = "", **change: Any) -> Any:  # noqa: ANN401
    """Open a database whose URL is another one."""
    url = make_url(server.url).set(**change).render_as_string(hide_password=False)
    # Without TLS nothing is left to be said goodbye to after a refusal.
    query = query or "?sslmode=disable"
    watched = _watched_sockets()
    database = Database(f"{url}{query}&connect_timeout=60")
    yield database
    await database.close()
    # TLS says goodbye after a refusal: a loop that ends before leaves a socket open.
    async with asyncio.timeout(PATIENCE_SECONDS):
        while _watched_sockets() > watched:  # noqa: ASYNC110  no event tells it
            await asyncio.sleep(0)


def _watched_sockets() -> int:
    loop: Any = asyncio.get_running_loop()
    return len(loop._selector.get_map())


async def cause(database: Database) -> str:
    """Fail to get in, and read why."""
    with pytest.raises(StoreUnavailable) as refused:
        await read_one(database)
    assert SECRET not in str(refused.value)
    assert database.trouble.cause is not None
    return database.trouble.cause


@pytest.mark.parametrize(
    ("change", "query", "says"),
    [
        (
            {"username": "with_password", "password": f"{SECRET}?"},
            "",
            'password authentication failed for user "with_password" (28P01)',
        ),
        ({"database": "none"}, "", 'database "none" does not exist (3D000)'),
        ({"username": "nobody"}, "", 'role "nobody" does not exist (28000)'),
        (
            {"username": "sleeper"},
            "",
            'role "sleeper" is not permitted to log in (28000)',
        ),
        (
            {"username": "alone"},
            "",
            'too many connections for role "alone" (53300)',
        ),
        ({"username": "tls_only"}, "?sslmode=disable", "(28000)"),
        ({"username": "plain_only"}, "?sslmode=require", "(28000)"),
        (
            {},
            "?sslmode=verify-full&sslrootcert=system",
            "TLS: self-signed certificate",
        ),
        ({"host": "name.invalid"}, "", "the host's name is not known"),
        ({"port": 1}, "", "Connect"),
    ],
    ids=str,
)
async def test_the_cause_is_told(
    guarded: PostgresServer,
    change: dict[str, Any],
    query: str,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the server or the system said, with its SQLSTATE."""
    monkeypatch.setattr("app.store.db.engine.POSTGRES_COMMAND_SECONDS", 0.1)
    async with opened(guarded, query, **change) as database:
        assert says in await cause(database)


@pytest.mark.parametrize(
    "query",
    [
        "?sslmode=require",
        "?sslmode=verify-ca",
        "?sslmode=verify-full",
        "?sslmode=prefer",
    ],
)
async def test_tls_works_in_every_mode(
    guarded: PostgresServer, tmp_path: Path, query: str
) -> None:
    """TLS works in every sslmode, with a root certificate where needed."""
    if "verify" in query:
        root = tmp_path / "root.crt"
        assert guarded._certificate is not None
        root.write_bytes(guarded._certificate.read_bytes())
        query += f"&sslrootcert={root}"
    async with opened(guarded, query, username="tls_only") as database:
        assert await read_one(database) == 1


async def test_a_server_without_tls_is_named_as_such(postgres_url: str) -> None:
    """The other mismatch."""
    database = Database(f"{postgres_url}?sslmode=require")
    assert await cause(database) == "TLS: the server does not speak it"
    await database.close()


async def test_a_server_that_says_nothing_is_named_as_such(
    silent_port: int,
) -> None:
    """A server that accepts and says nothing is named as the cause."""
    url = f"postgresql://u@127.0.0.1:{silent_port}/x?connect_timeout=1&sslmode=disable"
    database = Database(url)
    assert await cause(database) == "no answer in time"
    await database.close()


@pytest.fixture
async def silent_port() -> AsyncIterator[int]:
    """Give a port that takes connections and never says a word."""
    over = asyncio.Event()

    async def keep(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(keep, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        over.set()


async def test_a_cause_is_told_once_and_again_when_it_changes(
    guarded: PostgresServer,
) -> None:
    """And its end is, too. A log with the same line each second hides the rest."""
    async with opened(guarded) as database:
        with capture_logs() as logs:
            for text in ("one", "one", "two"):
                database.trouble.tell(text, of_writes=False)
            assert await read_one(database) == 1
            assert await read_one(database) == 1
    told = [(each["event"], each.get("cause")) for each in logs]
    assert told == [
        ("the database is unavailable", "one"),
        ("the database is unavailable", "two"),
        ("the database is back", None),
    ]


async def test_an_outage_that_lasts_is_asked_after_ever_more_seldom() -> None:
    """Nobody hammers a database that is away; half a minute is the longest pause."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        port = nobody.getsockname()[1]
        database = Database(f"postgresql://u@127.0.0.1:{port}/x")
        assert database.sessions is not None
        clock = Clock()
        sessions = Sessions(
            database.sessions._address, command_seconds=1, now=lambda: clock.now
        )
        tried = list[float]()
        original = sessions._on_any_host

        async def on_any_host() -> object:
            tried.append(clock.now)
            return await original()

        sessions._on_any_host = on_any_host  # type: ignore[method-assign]
        for _ in range(400):
            with pytest.raises(DatabaseUnreachable):
                await sessions.connect()
            clock.now += 1
        pauses = [b - a for a, b in pairwise(tried)]
    assert pauses[:4] == [1, 1, 1, 1]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 30
    await database.close()


class Clock:
    """A clock that a test moves."""

    now = 0.0
