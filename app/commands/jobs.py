"""Commands for jobs: list, show, retry, cancel, why."""

from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.output import (
    AsJson,
    as_answer,
    print_json,
    print_pairs,
    print_table,
    shown_text,
    validated,
)
from app.commands.running import with_use_cases

if TYPE_CHECKING:
    from app.schemas.job_actions import HistoryAnswer
    from app.schemas.job_answers import JobAnswer, JobsAnswer
    from app.schemas.job_requests import JobQuery
    from app.use_cases import UseCases

jobs = typer.Typer(
    help="Jobs: list, show, retry, cancel, and why one is as it is.",
    no_args_is_help=True,
)

JobId = Annotated[str, typer.Argument(metavar="ID", help="The job's id.")]
Repeated = Annotated[list[str] | None, typer.Option(help="May be given several times.")]
Chosen = Annotated[str | None, typer.Option()]
_Moment = Annotated[
    str | None, typer.Option(metavar="TIME", help="RFC 3339, with an offset.")
]

_COLUMNS = ("id", "project", "status", "scheduled for", "reason", "title", "notice")
_TITLE_SHOWN = 40


@jobs.command("list")
def list_jobs(
    *,
    project: Chosen = None,
    status: Repeated = None,
    failure_reason: Repeated = None,
    external_id: Chosen = None,
    scheduled_from: _Moment = None,
    scheduled_to: _Moment = None,
    sort: Annotated[str | None, typer.Option(help="createdAt or scheduledFor.")] = None,
    order: Annotated[str | None, typer.Option(help="asc or desc.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first unless asked otherwise."""
    from app.schemas.job_requests import JobQuery

    asked = {
        "projectId": project,
        "status": status,
        "failureReason": failure_reason,
        "externalId": external_id,
        "scheduledFrom": scheduled_from,
        "scheduledTo": scheduled_to,
        "sort": sort,
        "order": order,
        "limit": limit,
    }
    given = {name: value for name, value in asked.items() if value is not None}
    query = validated(JobQuery, given)
    page = with_use_cases(lambda cases: _page(cases, query))
    if as_json:
        print_json(as_answer(page))
        return
    print_table(_COLUMNS, map(_row, page.items))
    if page.next_cursor is not None:
        typer.echo(f"There are more than these {len(page.items)}: --limit.", err=True)


@jobs.command("show")
def show_job(id: JobId, *, as_json: AsJson = False) -> None:
    """Show a job as it stands."""

    async def read(cases: "UseCases") -> "JobAnswer":
        return cases.show(await cases.jobs.get(id, scope=None))

    _show(with_use_cases(read), as_json=as_json)


@jobs.command("retry")
def retry_job(
    id: JobId,
    *,
    accept_duplicate_risk: Annotated[
        bool, typer.Option(help="Send it again although TikTok may have it already.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Start a failed job again."""

    async def retry(cases: "UseCases") -> "JobAnswer":
        job = await cases.jobs.retry(
            id, accept_duplicate_risk=accept_duplicate_risk, scope=None
        )
        return cases.show(job)

    _show(with_use_cases(retry), as_json=as_json)


@jobs.command("cancel")
def cancel_job(id: JobId, *, as_json: AsJson = False) -> None:
    """End a job that is not to be posted; its row stays and guards its key."""

    async def cancel(cases: "UseCases") -> "JobAnswer":
        return cases.show(await cases.jobs.cancel(id, scope=None))

    _show(with_use_cases(cancel), as_json=as_json)


@jobs.command("why")
def why_job(id: JobId, *, as_json: AsJson = False) -> None:
    """Tell a job's whole story in plain words, oldest first."""

    async def read(cases: "UseCases") -> "tuple[HistoryAnswer, JobAnswer]":
        from app.schemas.job_actions import HistoryAnswer

        items = await cases.jobs.history(id, scope=None)
        story = HistoryAnswer.model_validate({"items": items})
        return story, cases.show(await cases.jobs.get(id, scope=None))

    story, job = with_use_cases(read)
    if as_json:
        print_json(as_answer(story))
        return
    for item in story.items:
        by = f" (by {item.by.name or item.by.id})" if item.by else ""
        typer.echo(f"{shown_text(item.at)}  {shown_text(item.text)}{by}")
    now = f"Now: {job.status}."
    typer.echo(f"{now} {shown_text(job.notice)}".rstrip())


async def _page(cases: "UseCases", query: "JobQuery") -> "JobsAnswer":
    from app.schemas.job_answers import JobsAnswer

    page = await cases.jobs.list(
        query.to_domain(),
        query.wanted_order,
        limit=query.limit,
        cursor=None,
        scope=None,
    )
    items = [cases.show(job) for job in page.items]
    return JobsAnswer(items=items, next_cursor=page.next_cursor)


def _row(job: "JobAnswer") -> tuple[object, ...]:
    return (
        job.id,
        job.project_id,
        job.status,
        job.scheduled_for,
        job.failure_reason,
        (job.post.title or "")[:_TITLE_SHOWN],
        job.notice,
    )


def _show(job: "JobAnswer", *, as_json: bool) -> None:
    answer = as_answer(job)
    if as_json:
        print_json(answer)
    else:
        print_pairs(answer)
