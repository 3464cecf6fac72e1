"""What a program starts with is the first line of its log."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from app import __version__
from app.store.db.migrate import newest_revision
from tests.system.programs import Program, Programs, free_port
from tests.system.site import ENCRYPTION_KEY, Site

SECRET: Final = "s3cret-of-the-url"
WARNING: Final = "ALLOW_PRIVATE_URLS is on: every key holder can reach this network"


@pytest.mark.parametrize("program", ["serve", "worker", "tick"])
async def test_a_program_says_what_it_starts_with(site: Site, program: str) -> None:
    """One line has version, database, revision, runner, TikTok and gateway."""
    started = await _start(site.programs, program, LOG_FORMAT="json")
    first, second = await _first_lines(started)
    del first["timestamp"], first["logger"]
    assert first == {
        "level": "info",
        "event": "starting",
        "program": program,
        "version": __version__,
        "database": "sqlite" if site.container.database.is_sqlite else "postgres",
        "revision": newest_revision(),
        "runner": "embedded",
        "transfer": "pull",
        "tiktok": site.tiktok.url.removeprefix("http://"),
        "media_gateway": "off",
    }
    assert (second["level"], second["event"]) == ("warning", WARNING)


async def test_the_line_tells_other_settings_too(programs: Programs) -> None:
    """The usual port goes unsaid; a new SQLite file is at the newest revision."""
    tick = await programs.start(
        "tick",
        LOG_FORMAT="json",
        RUNNER="cron",
        MEDIA_BASE_URL="https://media.example.com",
        TIKTOK_API_BASE_URL=f"https://someone:{SECRET}@tiktok.example.com/v2",
    )
    first, *_ = (json.loads(line) for line in (await tick.ended()).err.splitlines())
    told = {name: first[name] for name in ("runner", "tiktok", "media_gateway")}
    assert told == {
        "runner": "cron",
        "tiktok": "tiktok.example.com",
        "media_gateway": "on",
    }
    assert first["revision"] == newest_revision()
    assert SECRET not in tick.err.read_text()


async def test_a_worker_that_waits_for_its_database_says_so(programs: Programs) -> None:
    """The revision of a database that does not answer is unknown, its URL untold."""
    worker = await programs.start(
        "worker",
        LOG_FORMAT="json",
        ALLOW_PRIVATE_URLS="true",
        TOKEN_ENCRYPTION_KEYS=ENCRYPTION_KEY,
        DATABASE_URL=f"postgresql://someone:{SECRET}@127.0.0.1:{free_port()}/gone",
    )
    first, _ = await _first_lines(worker)
    assert (first["database"], first["revision"]) == ("postgres", "unknown")
    assert SECRET not in worker.err.read_text()


async def test_a_start_warns_of_what_can_be_guessed_or_read(
    programs: Programs, tmp_path: Path
) -> None:
    """A cron secret of one character, and a database that everybody may read."""
    database = tmp_path / "open.db"
    database.touch(mode=0o644)
    tick = await programs.start(
        "tick", CRON_SECRET="x", DATABASE_URL=f"sqlite:///{database}"
    )
    said = (await tick.ended()).err
    assert "CRON_SECRET has fewer than 16 characters" in said
    assert "can be read by everyone" in said


async def test_a_key_that_others_can_read_stops_a_start(
    programs: Programs, tmp_path: Path
) -> None:
    """One line, and nothing is served."""
    key = tmp_path / "open.db.key"
    key.write_text(ENCRYPTION_KEY)
    key.chmod(0o644)
    ended = await (
        await programs.start("tick", DATABASE_URL=f"sqlite:///{tmp_path}/open.db")
    ).ended()
    assert ended.code != 0
    (line,) = ended.err.splitlines()
    assert "others can read" in line
    assert ENCRYPTION_KEY not in line


async def _start(programs: Programs, program: str, **env: str) -> Program:
    port = ("--port", str(free_port())) if program == "serve" else ()
    return await programs.start(program, *port, **env)


async def _first_lines(program: Program) -> list[dict[str, Any]]:
    await program.says(WARNING)
    await program.kill()
    return [json.loads(line) for line in program.err.read_text().splitlines()[:2]]
