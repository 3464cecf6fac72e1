"""The control routes about posts and the events that tell of them."""

from pydantic import Field, JsonValue
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.sandbox.accounts import DEFAULT_OPEN_ID
from app.sandbox.afterlife import ACTS
from app.sandbox.faults import Seconds, WebhookFault
from app.sandbox.replies import items, nothing, problem, world_of
from app.sandbox.settings import Camel
from app.sandbox.webhooks import Event, emit


class PostFilter(Camel):
    """Choose posts by account."""

    open_id: str | None = None


class NewEvent(Camel):
    """Describe an event to send, true or not."""

    event: str = Field(min_length=1)
    open_id: str = DEFAULT_OPEN_ID
    content: dict[str, JsonValue] = Field(default={})
    duplicate: bool = False
    delay_seconds: Seconds = 0
    stale: bool = False
    bad_signature: bool = False


def routes() -> list[Route]:
    """List the routes about posts and events."""
    post = "/_sandbox/posts/{publish_id}"
    return [
        Route("/_sandbox/posts", list_posts, methods=["GET"]),
        Route(post, show_post, methods=["GET"]),
        Route(f"{post}/{{act}}", change_post, methods=["POST"]),
        Route("/_sandbox/webhooks", list_webhooks, methods=["GET"]),
        Route("/_sandbox/events", send_event, methods=["POST"]),
    ]


async def list_posts(request: Request) -> Response:
    """Show every post that was taken, oldest first."""
    wanted = PostFilter.model_validate(dict(request.query_params))
    posts, open_id = world_of(request).posts, wanted.open_id
    found = posts if open_id is None else posts.of(open_id)
    return items(post.to_json() for post in found)


async def show_post(request: Request) -> Response:
    """Show one post."""
    post = world_of(request).posts.get(request.path_params["publish_id"])
    if post is None:
        return problem(404, "there is no such post")
    return JSONResponse(post.to_json())


async def change_post(request: Request) -> Response:
    """Let something happen to a post: finish, discard, fail, ids or withdraw."""
    sandbox = world_of(request)
    post = sandbox.posts.get(request.path_params["publish_id"])
    act = ACTS.get(request.path_params["act"])
    if post is None or act is None:
        return problem(404, "there is no such post, or nothing of that name to do")
    act.model_validate_json(await request.body() or b"{}").apply(sandbox, post)
    return JSONResponse(post.to_json())


async def list_webhooks(request: Request) -> Response:
    """Show every delivery of an event, and what the receiver said."""
    return items(delivery.to_json() for delivery in world_of(request).deliveries)


async def send_event(request: Request) -> Response:
    """Send a webhook of any content to the app."""
    new = NewEvent.model_validate_json(await request.body())
    sandbox = world_of(request)
    if sandbox.settings.webhook_url is None:
        return problem(409, "the setting webhookUrl says nowhere to send it")
    fault = WebhookFault(
        kind="webhook",
        duplicate=new.duplicate,
        delay_seconds=new.delay_seconds,
        stale=new.stale,
    )
    event = Event(new.event, new.open_id, new.content, fault, new.bad_signature)
    emit(sandbox, event)
    return nothing()
