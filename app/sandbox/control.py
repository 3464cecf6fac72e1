"""The control routes: script faults, read what happened, change the weather."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.sandbox import control_people, control_posts
from app.sandbox.assets.serve import asset_routes
from app.sandbox.recording import Call
from app.sandbox.replies import items, nothing, object_of, problem, world_of
from app.sandbox.script import FaultRule
from app.sandbox.settings import Camel, merged


class CallFilter(Camel):
    """Choose calls by endpoint, account and time (epoch seconds)."""

    call: Call | None = None
    open_id: str | None = None
    since: float | None = None


def control_routes() -> list[Route]:
    """List the routes under /_sandbox."""
    return [
        Route("/_sandbox/healthz", healthz),
        Route("/_sandbox/faults", list_faults, methods=["GET"]),
        Route("/_sandbox/faults", add_fault, methods=["POST"]),
        Route("/_sandbox/faults", clear_faults, methods=["DELETE"]),
        Route("/_sandbox/faults/{id:int}", remove_fault, methods=["DELETE"]),
        Route("/_sandbox/calls", list_calls, methods=["GET"]),
        Route("/_sandbox/calls", clear_calls, methods=["DELETE"]),
        *control_posts.routes(),
        *control_people.routes(),
        *asset_routes(),
        Route("/_sandbox/settings", show_settings, methods=["GET"]),
        Route("/_sandbox/settings", change_settings, methods=["POST"]),
        Route("/_sandbox/reset", reset, methods=["POST"]),
    ]


async def healthz(_: Request) -> Response:
    """Say that the simulator lives."""
    return JSONResponse({"status": "ok"})


async def list_faults(request: Request) -> Response:
    """Show the script with how often each rule was met and struck."""
    entries = world_of(request).script.entries.items()
    return items(
        {
            "id": number,
            **entry.rule.model_dump(mode="json", by_alias=True),
            "met": entry.met,
            "struck": entry.struck,
        }
        for number, entry in entries
    )


async def add_fault(request: Request) -> Response:
    """Write a rule into the script."""
    rule = FaultRule.model_validate_json(await request.body())
    number = world_of(request).script.add(rule)
    return JSONResponse({"id": number}, status_code=201)


async def clear_faults(request: Request) -> Response:
    """Strike every rule out."""
    world_of(request).script.clear()
    return nothing()


async def remove_fault(request: Request) -> Response:
    """Strike one rule out."""
    known = world_of(request).script.remove(request.path_params["id"])
    return nothing() if known else problem(404, "there is no such fault")


async def list_calls(request: Request) -> Response:
    """Show the recorded TikTok calls, oldest first."""
    wanted = CallFilter.model_validate(dict(request.query_params))
    calls = world_of(request).calls.find(
        call=wanted.call, open_id=wanted.open_id, since=wanted.since
    )
    return items(record.to_json() for record in calls)


async def clear_calls(request: Request) -> Response:
    """Forget the recorded calls."""
    world_of(request).calls.clear()
    return nothing()


async def show_settings(request: Request) -> Response:
    """Show the settings, without the client secret."""
    return JSONResponse(world_of(request).settings.shown())


async def change_settings(request: Request) -> Response:
    """Change the settings that are named, and leave the others as they are."""
    sandbox = world_of(request)
    changes = object_of(await request.body())
    if changes is None:
        return problem(422, "body: it must be a JSON object")
    sandbox.apply(merged(sandbox.settings, changes), reseed="seed" in changes)
    return await show_settings(request)


async def reset(request: Request) -> Response:
    """Go back to how the simulator started."""
    world_of(request).reset()
    return nothing()
