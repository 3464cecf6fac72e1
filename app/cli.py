"""The command line; each command imports only what it needs, to start fast."""

import os
import sys
from io import TextIOWrapper
from typing import Annotated, NoReturn

import typer

from app import __version__
from app.commands import operations
from app.commands.accounts import accounts
from app.commands.jobs import jobs
from app.commands.keys import keys
from app.commands.running import LoopFactory, run
from app.commands.setup import init
from app.settings import SettingsError

app = typer.Typer(
    name="tiktok-scheduler",
    help="Posts videos to TikTok at the time their owner chose, once.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # a traceback's locals could hold secrets
)
app.add_typer(keys, name="keys")
app.add_typer(accounts, name="accounts")
app.add_typer(jobs, name="jobs")

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on.")]


def main() -> None:
    """Run the command line; what the user can mend is one line and exit 1."""
    from app.domain.errors import InvalidInput, SchedulerError

    _prepare_streams()
    try:
        app()
    except InvalidInput as error:
        _give_up("; ".join(f"{each.pointer}: {each.message}" for each in error.errors))
    except (SettingsError, SchedulerError) as error:
        _give_up(str(error))
    except OSError as error:  # an address in use, a database file not accessible
        _give_up(str(error))


def _prepare_streams() -> None:
    """Open what was closed, and let no character that a terminal lacks end a command.

    A socket or a database must not get the number of a standard stream: whatever writes
    there would write into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number: this one
            setattr(sys, name, os.fdopen(number, "w" if number else "r"))
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_show_version,
            is_eager=True,
            help="Print the version and exit.",
        ),
    ] = False,
) -> None:
    """Post videos to TikTok at the time their owner chose, once."""


@app.command()
def serve(host: Host = "127.0.0.1", port: Port = 8000) -> None:
    """Serve the HTTP API; with RUNNER=embedded, run due jobs too."""
    from app.preparation import prepared
    from app.serving.server import serve as run_server

    run_server(prepared("serve", waits=True), host=host, port=port)


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
    from app.preparation import prepared
    from app.worker import work

    chosen = {"metrics_port": metrics_port, "metrics_host": metrics_host}
    given = {name: value for name, value in chosen.items() if value is not None}
    settings = prepared("worker", waits=True).model_copy(update=given)
    run(work(settings), loop_factory=_fast_loop())


@app.command()
def tick() -> None:
    """Run what is due once and print the report as JSON."""
    from app.preparation import prepared
    from app.worker import tick as run_tick

    typer.echo(run(run_tick(prepared("tick")), loop_factory=_fast_loop()))


@app.command()
def migrate() -> None:
    """Bring the database to the newest revision."""
    from app.preparation import migrate as run_migrate

    run_migrate()


@app.command()
def sandbox(host: Host = "127.0.0.1", port: Port = 9000) -> None:
    """Serve the TikTok simulator."""
    from app.sandbox.server import serve as serve_sandbox

    run(serve_sandbox(host, port, announce=typer.echo))


@app.command()
def demo() -> None:
    """Show the main job end to end, on SQLite and the simulator."""
    from app.sandbox.demo import run_demo

    raise typer.Exit(run_demo())


for operation in (
    operations.status,
    operations.doctor,
    operations.hold,
    operations.release,
    operations.restore_hold,
    init,
):
    app.command()(operation)


def _fast_loop() -> LoopFactory | None:
    """Return uvloop, which uvicorn uses for `serve`, too: calls cost half.

    Only for programs that post; others gain nothing.
    """
    try:
        import uvloop
    except ImportError:  # Windows and PyPy have none
        return None
    return uvloop.new_event_loop


def _give_up(line: str) -> NoReturn:
    sys.stderr.write(f"tiktok-scheduler: {line}\n")
    raise SystemExit(1)
