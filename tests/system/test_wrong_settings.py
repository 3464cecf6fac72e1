"""A wrong setting stops the start with one line that names it and tells no secret."""

import socket
from collections.abc import Mapping
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.store.db.roles import make_database
from tests.support.sql import execute
from tests.system.programs import Ended, Programs, free_port
from tests.system.site import ENCRYPTION_KEY

SECRET = "hunter2"
NOBODY = f"postgresql://scheduler:{SECRET}@127.0.0.1:9/scheduler"
KEY = {"TOKEN_ENCRYPTION_KEYS": ENCRYPTION_KEY}

WRONG: dict[str, tuple[str, Mapping[str, str], str]] = {
    "a bad number": (
        "worker",
        {"POLL_INTERVAL_SECONDS": SECRET},
        "POLL_INTERVAL_SECONDS",
    ),
    "a bad choice": ("serve", {"RUNNER": SECRET}, "RUNNER"),
    "no URL": ("tick", {"TIKTOK_API_BASE_URL": SECRET}, "TIKTOK_API_BASE_URL"),
    "an empty secret": ("serve", {"CRON_SECRET": " "}, "CRON_SECRET"),
    "no database URL": ("migrate", {"DATABASE_URL": SECRET}, "DATABASE_URL"),
    "another database": (
        "worker",
        {"DATABASE_URL": f"mysql://root:{SECRET}@localhost/db"},
        "DATABASE_URL",
    ),
    "half a password for a port": (
        "worker",
        {"DATABASE_URL": f"postgresql://localhost:{SECRET}/db"},
        "DATABASE_URL",
    ),
    "a lease shorter than a poll": (
        "worker",
        {"CLAIM_TIMEOUT_SECONDS": "90"},
        "CLAIM_TIMEOUT_SECONDS",
    ),
    "no keys on Postgres, serving": (
        "serve",
        {"DATABASE_URL": NOBODY},
        "TOKEN_ENCRYPTION_KEYS",
    ),
    "no keys on Postgres, working": (
        "worker",
        {"DATABASE_URL": NOBODY},
        "TOKEN_ENCRYPTION_KEYS",
    ),
    "keys of the wrong form": (
        "serve",
        {"TOKEN_ENCRYPTION_KEYS": SECRET},
        "TOKEN_ENCRYPTION_KEYS",
    ),
    "a Postgres that nobody runs": (
        "tick",
        {"DATABASE_URL": NOBODY, **KEY},
        "DATABASE_URL",
    ),
    "nothing to migrate": ("migrate", {"DATABASE_URL": NOBODY}, "DATABASE_URL"),
    "a file in no folder": (
        "serve",
        {"DATABASE_URL": f"sqlite:////nowhere/{SECRET}.db"},
        "DATABASE_URL",
    ),
}


def assert_one_line(ended: Ended, variable: str) -> None:
    """Look at how a program refused to start."""
    assert ended.code not in {0, None}
    assert ended.out == ""
    assert ended.err.count("\n") == 1, ended.err
    assert variable in ended.err
    assert SECRET not in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("command", "env", "variable"), WRONG.values(), ids=WRONG.keys()
)
async def test_a_wrong_setting_stops_the_start(
    programs: Programs, command: str, env: Mapping[str, str], variable: str
) -> None:
    """One line on standard error, an exit code that is not 0, no value quoted."""
    assert_one_line(await programs.run(command, **env), variable)


async def test_a_port_in_use_is_one_line(programs: Programs) -> None:
    """The simulator says which address is taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = await programs.run("sandbox", "--port", port)
        assert_one_line(ended, "Address already in use")
        ended = await programs.run("serve", "--port", port, LOG_LEVEL="warning")
    assert_one_line(ended, port)


async def test_an_unmigrated_postgres_asks_to_be_migrated(
    programs: Programs, shared_server_url: str
) -> None:
    """Only SQLite, which has one user, is migrated behind anybody's back."""
    ended = await programs.run("tick", DATABASE_URL=shared_server_url, **KEY)
    assert_one_line(ended, "DATABASE_URL")
    assert "tiktok-scheduler migrate" in ended.err


async def test_a_worker_waits_for_a_postgres_that_is_away(programs: Programs) -> None:
    """A restart during an outage must not end what would outlive the outage."""
    env = {"DATABASE_URL": NOBODY.replace(":9/", f":{free_port()}/"), **KEY}
    worker = await programs.start("worker", **env)
    await worker.says("The database does not answer")
    ended = await worker.stop()
    assert ended.code == 0
    assert SECRET not in ended.err
    assert "Traceback" not in ended.err


async def test_settings_come_from_a_file_too(
    programs: Programs, tmp_path: Path
) -> None:
    """A .env in the working directory is read; the environment goes before it."""
    (tmp_path / ".env").write_text("MAX_IN_FLIGHT=none\n")
    assert_one_line(await programs.run("tick"), "MAX_IN_FLIGHT")
    ended = await programs.run("tick", MAX_IN_FLIGHT="1")
    assert ended.code == 0


async def test_what_no_waiting_mends_ends_the_start(
    programs: Programs, shared_server_url: str
) -> None:
    """A database that is not there, for programs that would wait for one too."""
    url = make_url(shared_server_url).set(database="nowhere", password=SECRET)
    env = {"DATABASE_URL": url.render_as_string(hide_password=False), **KEY}
    for command in ("worker", "serve", "tick", "migrate"):
        ended = await programs.run(command, **env)
        assert_one_line(ended, 'database "nowhere" does not exist (3D000)')


async def test_bad_ground_stops_a_migration_in_one_line(
    programs: Programs, shared_server_url: str
) -> None:
    """Before anything is changed, and with what to do."""
    made = await make_database(
        shared_server_url, "ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'"
    )
    ended = await programs.run("migrate", DATABASE_URL=made)
    assert_one_line(ended, "the database's encoding is LATIN1; make a database")
    tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
    assert await execute(made, tables) == 0
