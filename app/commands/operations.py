"""Commands for operation: status, doctor, hold, restore-hold, release."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import Struct
from msgspec.structs import asdict

from app.commands.output import (
    AsJson,
    print_json,
    print_pairs,
    shown_text,
    validated,
)
from app.commands.running import run, with_use_cases

if TYPE_CHECKING:
    from app.service.operations.checks import Finding
    from app.use_cases import UseCases

Project = Annotated[
    str | None, typer.Option(help="One project; left out: all of them.")
]


def status(*, as_json: AsJson = False) -> None:
    """Tell whether posts go out; exit 1 if a person should look."""
    found = with_use_cases(lambda cases: cases.status.look())
    shown = _fields_of(found)
    if as_json:
        print_json(shown)
    else:
        print_pairs({**shown, "toLookAt": ""})
        for each in found.to_look_at or ("All is well.",):
            typer.echo(shown_text(each))
    raise typer.Exit(1 if found.to_look_at else 0)


def doctor(*, as_json: AsJson = False) -> None:
    """Check the settings against the world; exit 1 if anything keeps posts back."""
    from app.commands.doctor import examine

    findings = run(examine())
    if as_json:
        print_json({"items": [asdict(each) for each in findings]})
    else:
        for each in findings:
            typer.echo(shown_text(_line(each)))
    raise typer.Exit(0 if all(each.ok for each in findings) else 1)


def hold(
    *,
    reason: Annotated[str, typer.Option(help="For people: why nothing goes out.")],
    project: Project = None,
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="RFC 3339, with an offset.")
    ] = None,
) -> None:
    """Let due jobs wait; what is in flight ends as it would."""
    from app.schemas.job_actions import HoldRequest

    asked = validated(HoldRequest, {"reason": reason, "until": until})

    async def put(cases: "UseCases") -> None:
        await cases.holds.put(asked.to_domain(project), scope=None)

    with_use_cases(put)
    typer.echo(f"held: {project or 'every project'}")


def restore_hold(
    *,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do it; without it nothing is changed.")
    ] = False,
) -> None:
    """After a restore, before anything runs: hold what may have been posted since.

    What fell due, was claimed or was at TikTok ends `failed(unconfirmed)`; everything
    else waits until `release`.
    """
    if not yes:
        count = with_use_cases(lambda cases: cases.restore.count())
        typer.echo(
            f"{count} jobs may have been posted since the backup;"
            " --yes holds them, and all posting until `tiktok-scheduler release`"
        )
        raise typer.Exit(1)
    count = with_use_cases(lambda cases: cases.restore.hold())
    typer.echo(
        f"held as unconfirmed: {count} jobs; look at the accounts, retry what is not"
        " there, then `tiktok-scheduler release` lets the others go out"
    )


def release(*, project: Project = None) -> None:
    """Take a hold away: due jobs go on within seconds."""

    async def delete(cases: "UseCases") -> None:
        await cases.holds.delete(project, scope=None)

    with_use_cases(delete)
    typer.echo(f"released: {project or 'every project'}")


def _fields_of(value: Struct) -> dict[str, object]:
    from pydantic.alias_generators import to_camel

    return {to_camel(name): _spelt(each) for name, each in asdict(value).items()}


def _spelt(value: object) -> object:
    """Write a value as the API would: times, and the names of fields."""
    from app.domain.jobs.idempotency_keys import iso_millis

    match value:
        case datetime():
            return iso_millis(value)
        case Mapping():  # its names are values, such as reasons
            return {str(name): _spelt(each) for name, each in value.items()}
        case tuple():
            return [_spelt(each) for each in value]
        case Struct():
            return _fields_of(value)
        case _:
            return value


def _line(finding: "Finding") -> str:
    mark = "ok  " if finding.ok else "FAIL"
    advice = f" - {finding.advice}" if finding.advice else ""
    return f"{mark}  {finding.name}: {finding.text}{advice}"
