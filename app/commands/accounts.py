"""Commands for accounts."""

import json
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec.structs import asdict

from app.commands.output import AsJson, as_answer, print_json, print_table
from app.commands.running import with_container, with_use_cases

if TYPE_CHECKING:
    from app.domain.accounts.account import AccountStatus
    from app.schemas.accounts import AccountAnswer
    from app.use_cases import UseCases

accounts = typer.Typer(
    help="TikTok accounts: list them, change their keys.", no_args_is_help=True
)

_COLUMNS = (
    "project",
    "openId",
    "name",
    "status",
    "reason",
    "access token ends",
    "refresh token ends",
    "jobs waiting",
)
_PAGE = 200


@accounts.command("list")
def list_accounts(
    *,
    status: Annotated[
        str | None, typer.Option(help="active or reconnect_required.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List every project's account, when its tokens end, and how many jobs wait."""
    from app.domain.accounts.account import AccountStatus

    try:
        wanted = None if status is None else AccountStatus(status)
    except ValueError:
        known = ", ".join(AccountStatus)
        raise typer.BadParameter(f"--status: one of {known}") from None
    found = with_use_cases(lambda cases: _all(cases, wanted))
    if as_json:
        items = [as_answer(each) | {"jobsWaiting": waiting} for each, waiting in found]
        print_json({"items": items})
    else:
        print_table(_COLUMNS, (_row(each, waiting) for each, waiting in found))


@accounts.command("reencrypt")
def reencrypt_accounts() -> None:
    """Encrypt every token and secret with the first key; print the counts as JSON.

    After that the other TOKEN_ENCRYPTION_KEYS can go. An unreadable account has to be
    connected again.
    """
    from app.store.reencrypt import reencrypt

    done = with_container(
        lambda container: reencrypt(container.database, container.vault)
    )
    typer.echo(json.dumps(asdict(done)))


async def _all(
    cases: "UseCases", status: "AccountStatus | None"
) -> "list[tuple[AccountAnswer, int]]":
    from app.schemas.accounts import AccountAnswer

    overview = cases.accounts
    waiting = await overview.jobs_waiting()
    found, cursor = list[tuple[AccountAnswer, int]](), None
    while True:
        page = await overview.list(status, limit=_PAGE, cursor=cursor, scope=None)
        found += (
            (AccountAnswer.of(each), waiting.get(each.project_id, 0))
            for each in page.items
        )
        if (cursor := page.next_cursor) is None:
            return found


def _row(account: "AccountAnswer", waiting: int) -> tuple[object, ...]:
    return (
        account.project_id,
        account.open_id,
        account.display_name or account.username,
        account.status,
        account.reconnect_reason,
        account.access_token_expires_at,
        account.refresh_token_expires_at,
        waiting,
    )
