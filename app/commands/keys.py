"""Commands for API keys: create, list, revoke."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from app.commands.output import AsJson, print_json, print_table
from app.commands.running import with_use_cases

if TYPE_CHECKING:
    from app.domain.api_key import ApiKey
    from app.use_cases import UseCases

keys = typer.Typer(help="API keys: make, list, revoke.", no_args_is_help=True)

_COLUMNS = (
    "id",
    "project (empty: every one)",
    "access",
    "state",
    "expires",
    "last used",
    "created",
    "name",
)


@keys.command("create")
def create_key(
    *,
    project: Annotated[
        str | None, typer.Option(help="The only project it is good for.")
    ] = None,
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    access: Annotated[
        Literal["read", "write"], typer.Option(help="read: may change nothing.")
    ] = "write",
    expires_in_days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="Left out: never.")
    ] = None,
) -> None:
    """Make a key and print it, this once."""

    async def create(cases: "UseCases") -> str:
        from app.domain.api_key import KeyAccess

        days = None if expires_in_days is None else timedelta(days=expires_in_days)
        _, secret = await cases.keys.create(
            name, project, access=KeyAccess(access), expires_in=days
        )
        return secret

    typer.echo(with_use_cases(create))


@keys.command("list")
def list_keys(*, as_json: AsJson = False) -> None:
    """List the keys; no secret is ever printed again."""

    async def listed(cases: "UseCases") -> "list[tuple[ApiKey, str]]":
        now = cases.clock.now()
        return [(key, _state(key, now)) for key in await cases.keys.list()]

    found = with_use_cases(listed)
    if as_json:
        print_json({"items": [_answer(key, state) for key, state in found]})
        return
    print_table(
        _COLUMNS,
        (
            (
                key.id,
                key.project_id,
                key.access,
                state,
                key.expires_at,
                key.last_used_at,
                key.created_at,
                key.name,
            )
            for key, state in found
        ),
    )


@keys.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Make a key worthless, everywhere within seconds."""

    async def revoke(cases: "UseCases") -> None:
        await cases.keys.revoke(key_id)

    with_use_cases(revoke)


def _state(key: "ApiKey", now: datetime) -> str:
    if key.revoked_at:
        return "revoked"
    return "expired" if key.has_expired(now) else "active"


def _answer(key: "ApiKey", state: str) -> dict[str, object]:
    from app.domain.jobs.idempotency_keys import iso_millis

    times = {
        "createdAt": key.created_at,
        "expiresAt": key.expires_at,
        "lastUsedAt": key.last_used_at,
        "revokedAt": key.revoked_at,
    }
    return {
        "id": key.id,
        "name": key.name,
        "projectId": key.project_id,
        "access": str(key.access),
        "state": state,
        **{name: at and iso_millis(at) for name, at in times.items()},
    }
