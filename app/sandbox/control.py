"""The control routes: script faults, read what happened, change the weather."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.sandbox.assets import video
from app.sandbox.oauth import remove_authorization
from app.sandbox.people import NewAccount, account_to_json, add_account
from app.sandbox.recording import Call
from app.sandbox.replies import items, nothing, object_of, problem
from app.sandbox.script import FaultRule
from app.sandbox.settings import Camel, merged
from app.sandbox.state import Sandbox

USER_DISCONNECTED = 1
"""Reason of authorization.removed: https://developers.tiktok.com/doc/webhooks-events"""


class CallFilter(Camel):
    """Choose calls by endpoint, account and time (epoch seconds)."""

    call: Call | None = None
    open_id: str | None = None
    since: float | None = None


class PostFilter(Camel):
    """Choose posts by account."""

    open_id: str | None = None


def control_routes() -> list[Route]:
    """List the routes under /_sandbox."""
    return [
        Route("/_sandbox/healthz", healthz),
        Route("/_sandbox/video.mp4", video, methods=["GET"]),
        Route("/_sandbox/faults", list_faults, methods=["GET"]),
        Route("/_sandbox/faults", add_fault, methods=["POST"]),
        Route("/_sandbox/faults", clear_faults, methods=["DELETE"]),
        Route("/_sandbox/faults/{id:int}", remove_fault, methods=["DELETE"]),
        Route("/_sandbox/calls", list_calls, methods=["GET"]),
        Route("/_sandbox/calls", clear_calls, methods=["DELETE"]),
        Route("/_sandbox/posts", list_posts),
        Route("/_sandbox/webhooks", list_webhooks),
        Route("/_sandbox/accounts", list_accounts, methods=["GET"]),
        Route("/_sandbox/accounts", put_account, methods=["POST"]),
        Route("/_sandbox/accounts/{open_id}/disconnect", disconnect, methods=["POST"]),
        Route("/_sandbox/settings", show_settings, methods=["GET"]),
        Route("/_sandbox/settings", change_settings, methods=["POST"]),
        Route("/_sandbox/reset", reset, methods=["POST"]),
    ]


async def healthz(_: Request) -> Response:
    """Say that the simulator lives."""
    return JSONResponse({"status": "ok"})


async def list_faults(request: Request) -> Response:
    """Show the script with how often each rule was met and struck."""
    entries = _sandbox(request).script.entries.items()
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
    number = _sandbox(request).script.add(rule)
    return JSONResponse({"id": number}, status_code=201)


async def clear_faults(request: Request) -> Response:
    """Strike every rule out."""
    _sandbox(request).script.clear()
    return nothing()


async def remove_fault(request: Request) -> Response:
    """Strike one rule out."""
    known = _sandbox(request).script.remove(request.path_params["id"])
    return nothing() if known else problem(404, "there is no such fault")


async def list_calls(request: Request) -> Response:
    """Show the recorded TikTok calls, oldest first."""
    wanted = CallFilter.model_validate(dict(request.query_params))
    calls = _sandbox(request).calls.find(
        call=wanted.call, open_id=wanted.open_id, since=wanted.since
    )
    return items(record.to_json() for record in calls)


async def clear_calls(request: Request) -> Response:
    """Forget the recorded calls."""
    _sandbox(request).calls.clear()
    return nothing()


async def list_posts(request: Request) -> Response:
    """Show every post that was taken, oldest first."""
    wanted = PostFilter.model_validate(dict(request.query_params))
    posts, open_id = _sandbox(request).posts, wanted.open_id
    found = posts if open_id is None else posts.of(open_id)
    return items(post.to_json() for post in found)


async def list_webhooks(request: Request) -> Response:
    """Show every delivery of an event, and what the receiver said."""
    return items(delivery.to_json() for delivery in _sandbox(request).deliveries)


async def list_accounts(request: Request) -> Response:
    """Show the accounts, without tokens."""
    sandbox = _sandbox(request)
    return items(account_to_json(sandbox, account) for account in sandbox.accounts)


async def put_account(request: Request) -> Response:
    """Add or replace an account."""
    new = NewAccount.model_validate_json(await request.body() or b"{}")
    return JSONResponse(add_account(_sandbox(request), new), status_code=201)


async def disconnect(request: Request) -> Response:
    """Remove the app's access, as a user does in TikTok's own settings."""
    sandbox, open_id = _sandbox(request), request.path_params["open_id"]
    if open_id not in sandbox.accounts.people:
        return problem(404, "there is no such account")
    remove_authorization(sandbox, open_id, reason=USER_DISCONNECTED)
    return nothing()


async def show_settings(request: Request) -> Response:
    """Show the settings, without the client secret."""
    return JSONResponse(_sandbox(request).settings.shown())


async def change_settings(request: Request) -> Response:
    """Change the settings that are named, and leave the others as they are."""
    sandbox = _sandbox(request)
    changes = object_of(await request.body())
    if changes is None:
        return problem(422, "body: it must be a JSON object")
    sandbox.apply(merged(sandbox.settings, changes), reseed="seed" in changes)
    return await show_settings(request)


async def reset(request: Request) -> Response:
    """Go back to how the simulator started."""
    _sandbox(request).reset()
    return nothing()


def _sandbox(request: Request) -> Sandbox:
    sandbox: Sandbox = request.app.state.sandbox
    return sandbox
