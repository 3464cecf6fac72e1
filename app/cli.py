"""The commands; each imports what it needs, so that none waits for the others."""

import asyncio
import gc
import json
import sys
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final, NoReturn, TypeVar

import typer

from app.settings import Settings, SettingsError, load

if TYPE_CHECKING:
    from app.container import Container
    from app.service.health import DatabaseState
    from app.service.keys import KeyService

app = typer.Typer(
    name="tiktok-scheduler",
    help="Posts videos to TikTok at the time their owner chose, once.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # a traceback's locals could hold secrets
)
keys = typer.Typer(help="API keys: make, list, revoke.", no_args_is_help=True)
app.add_typer(keys, name="keys")
accounts = typer.Typer(help="TikTok accounts: change keys.", no_args_is_help=True)
app.add_typer(accounts, name="accounts")

DATABASE_PATIENCE_SECONDS: Final = 10.0
GARBAGE_THRESHOLD: Final = 10_000
"""So many new objects make the collector look; Python's own 700 is a few requests."""

UNREACHABLE: Final = "DATABASE_URL: the database cannot be reached"
READ_ONLY: Final = "DATABASE_URL: the database can only be read"
NOT_MIGRATED: Final = (
    "DATABASE_URL: the database is not migrated; run `tiktok-scheduler migrate` first"
)

Result = TypeVar("Result")
Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on.")]


def main() -> None:
    """Run the command line; what the user can mend is one line and exit 1."""
    from app.domain.errors import InvalidInput, SchedulerError

    try:
        app()
    except InvalidInput as error:
        _give_up("; ".join(f"{each.pointer}: {each.message}" for each in error.errors))
    except (SettingsError, SchedulerError) as error:
        _give_up(str(error))
    except OSError as error:  # an address in use, a database file out of reach
        _give_up(str(error))


@app.command()
def serve(host: Host = "127.0.0.1", port: Port = 8000) -> None:
    """Serve the HTTP API; with RUNNER=embedded, run due jobs too."""
    from app.server import serve as run_server

    run_server(_prepared(waits=True), host=host, port=port)


@app.command()
def worker(
    metrics_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65_535, help="Answer /metrics, /healthz and /readyz there."
        ),
    ] = None,
    metrics_host: Annotated[
        str | None, typer.Option(help="Address to do that on.")
    ] = None,
) -> None:
    """Run due jobs, until SIGTERM; without HTTP but for metrics and health."""
    from app.worker import work

    chosen = {"metrics_port": metrics_port, "metrics_host": metrics_host}
    given = {name: value for name, value in chosen.items() if value is not None}
    settings = _prepared(waits=True).model_copy(update=given)
    _run(work(settings), loop_factory=_fast_loop())


@app.command()
def tick() -> None:
    """Run what is due once and print the report as JSON."""
    from app.worker import tick as run_tick

    typer.echo(_run(run_tick(_prepared()), loop_factory=_fast_loop()))


@app.command()
def migrate() -> None:
    """Bring the database to the newest revision."""
    from app.service.health import DatabaseState

    settings = _settings()
    state, cause, _ = _look_at_database(settings)
    if state is DatabaseState.DATABASE_UNAVAILABLE:
        raise SettingsError(_with_cause(UNREACHABLE, cause))
    _upgrade(settings)


@keys.command("create")
def keys_create(
    project: Annotated[
        str | None, typer.Option(help="The only project it is good for.")
    ] = None,
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
) -> None:
    """Make a key and print it, this once."""

    async def create(container: "Container") -> str:
        _, secret = await _key_service(container).create(name, project)
        return secret

    typer.echo(_with_container(create))


@keys.command("list")
def keys_list() -> None:
    """List the keys; no secret is ever printed again."""

    async def listed(container: "Container") -> list[str]:
        found = await _key_service(container).list()
        return [
            "\t".join(
                (
                    key.id,
                    key.project_id or "*",
                    "revoked" if key.revoked_at else "active",
                    key.created_at.isoformat(timespec="seconds"),
                    key.name,
                )
            )
            for key in found
        ]

    for line in _with_container(listed):
        typer.echo(line)


@keys.command("revoke")
def keys_revoke(key_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Make a key worthless, everywhere within seconds."""

    async def revoke(container: "Container") -> None:
        await _key_service(container).revoke(key_id)

    _with_container(revoke)


@accounts.command("reencrypt")
def accounts_reencrypt() -> None:
    """Encrypt every token and secret with the first key; print the counts as JSON.

    After that the other TOKEN_ENCRYPTION_KEYS can go. An unreadable account has to be
    connected again.
    """
    from app.store.reencrypt import reencrypt

    done = _with_container(
        lambda container: reencrypt(container.database, container.vault)
    )
    typer.echo(json.dumps(asdict(done)))


@app.command()
def sandbox(host: Host = "127.0.0.1", port: Port = 9000) -> None:
    """Serve the TikTok simulator."""
    from app.sandbox.server import serve as serve_sandbox

    _run(serve_sandbox(host, port, announce=typer.echo))


@app.command()
def demo() -> None:
    """Show the main job end to end, on SQLite and the simulator."""
    from app.sandbox.demo import run_demo

    raise typer.Exit(run_demo())


def _settings() -> Settings:
    from app.logs import configure_logging

    settings = load()
    configure_logging(settings.log_format, settings.log_level)
    return settings


def _prepared(*, waits: bool = False) -> Settings:
    """Read the settings, and bring an SQLite database, which has one user, up to date.

    A program that ``waits`` starts without its Postgres too, as it outlives an outage.
    """
    from app.container import open_database, open_vault
    from app.service.health import DatabaseState

    settings = _settings()
    on_sqlite = open_database(settings).is_sqlite
    if not on_sqlite:
        open_vault(settings)
    state, cause, is_hopeless = _look_at_database(settings)
    if state is DatabaseState.DATABASE_UNAVAILABLE and (
        on_sqlite or is_hopeless or not waits
    ):
        raise SettingsError(_with_cause(UNREACHABLE, cause))
    if state is DatabaseState.DATABASE_READ_ONLY and not waits:
        raise SettingsError(_with_cause(READ_ONLY, cause))
    if state is DatabaseState.DATABASE_NOT_MIGRATED and on_sqlite:
        _upgrade(settings)
    elif state is DatabaseState.DATABASE_NOT_MIGRATED and not waits:
        raise SettingsError(NOT_MIGRATED)
    open_vault(settings)  # makes a key beside an SQLite file, now known to be in reach
    _spare_the_collector()
    return settings


def _spare_the_collector() -> None:
    """Let the garbage collector look at less: it took a tenth of a busy worker's CPU.

    Thousands of attempts that wait are no garbage. What is made before the work begins
    is frozen where that is, in app.server and app.worker.
    """
    gc.set_threshold(GARBAGE_THRESHOLD)


def _look_at_database(settings: Settings) -> "tuple[DatabaseState, str | None, bool]":
    """Return the state, its cause, and whether no waiting could mend it."""
    from app.container import open_database
    from app.service.health import state_of

    async def look() -> "tuple[DatabaseState, str | None, bool]":
        database = open_database(settings)
        database.trouble.is_told = False  # in one line, if that is the end
        try:
            state = await state_of(database, patience=DATABASE_PATIENCE_SECONDS)
        finally:
            await database.close()
        return state, database.trouble.cause, database.trouble.hopeless

    return _run(look())


def _with_cause(text: str, cause: str | None) -> str:
    return text if cause is None else f"{text}: {cause}"


def _upgrade(settings: Settings) -> None:
    from app.store.db.migrate import upgrade

    _look_at_ground(settings)
    url = settings.database_url.get_secret_value()
    upgrade(url, schema=settings.database_schema)


def _look_at_ground(settings: Settings) -> None:
    """See whether a migration can be built on what is there, before it begins."""
    from app.container import open_database
    from app.service.ground import Finding, before_building

    async def look() -> list[Finding]:
        database = open_database(settings)
        try:
            return await before_building(database)
        finally:
            await database.close()

    if wrong := [found for found in _run(look()) if not found.ok]:
        lines = (f"{found.text}; {found.advice}" for found in wrong)
        raise SettingsError(f"DATABASE_URL: {'. '.join(lines)}")


def _with_container(
    use: "Callable[[Container], Coroutine[None, None, Result]]",
) -> Result:
    from app.container import open_container

    settings = _prepared()

    async def run() -> Result:
        async with open_container(settings) as container:
            return await use(container)

    return _run(run())


def _key_service(container: "Container") -> "KeyService":
    from app.use_cases import UseCases

    return UseCases(container).keys


LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def _run(
    program: Coroutine[None, None, Result], *, loop_factory: LoopFactory | None = None
) -> Result:
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            return runner.run(program)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _fast_loop() -> LoopFactory | None:
    """Choose the loop that uvicorn chooses for `serve`: a call costs half on it.

    For what posts; elsewhere there is nothing to gain.
    """
    try:
        import uvloop
    except ImportError:  # Windows and PyPy have none
        return None
    return uvloop.new_event_loop


def _give_up(line: str) -> NoReturn:
    sys.stderr.write(f"tiktok-scheduler: {line}\n")
    raise SystemExit(1)
