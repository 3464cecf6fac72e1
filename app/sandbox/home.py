"""The simulator's own page: every route, script and setting, read from the code."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from html import escape
from inspect import getdoc
from json import dumps
from typing import get_args

from pydantic import BaseModel
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from app.sandbox.afterlife import ACTS
from app.sandbox.assets.query import AssetQuery
from app.sandbox.control_people import Removal
from app.sandbox.control_posts import NewEvent
from app.sandbox.faults import Fault
from app.sandbox.people import NewAccount
from app.sandbox.script import CALLS_OF_KIND, FaultRule, Match
from app.sandbox.settings import Quotas, SandboxSettings

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;"
    "padding:0 1rem}code{background:#eee;padding:0 .2em}h3{margin-bottom:0}"
    "dd{margin:0 0 .5rem 1.5rem}@media(prefers-color-scheme:dark){"
    "body{background:#111;color:#eee}code{background:#333}}"
)
INTRODUCTION = (
    "This is a simulator of TikTok's Content Posting API, for tests and for trying "
    "out. Its people are <code>sandbox_user</code> (tokens <code>act.sandbox</code>, "
    "<code>rft.sandbox</code>) and <code>sandbox_user_2</code> "
    "(<code>act.sandbox_2</code>, <code>rft.sandbox_2</code>); the app is "
    "<code>sandbox_key</code> with the secret <code>sandbox_secret</code>. Examples "
    "with curl are in <code>docs/simulator.md</code> of the repository."
)

TAKEN = (
    "<p><code>taken</code> says whether the call took effect although its answer is "
    "another one, or none: a post was made, tokens were rotated, a chunk was kept.</p>"
)


def home_route(routes: Iterable[Route]) -> Route:
    """Make the route of the page that shows all the others."""
    shown = list(routes)

    async def home(_: Request) -> Response:
        """List everything that the simulator can do."""
        return HTMLResponse(page(shown))

    return Route("/", home, methods=["GET"])


def page(routes: list[Route]) -> str:
    """Write the page."""
    ours = [route for route in routes if route.path.startswith("/_sandbox")]
    theirs = [route for route in routes if route not in ours]
    sections = {
        "TikTok's routes": _routes(theirs),
        "Routes of the simulator": _routes(ours),
        "A rule of POST /_sandbox/faults": f"{_model(FaultRule)}{_model(Match)}",
        "Faults": TAKEN + "".join(_fault(kind) for kind in kinds()),
        "What can happen to a post": _bodies(ACTS),
        "Other bodies": _bodies(OTHER_BODIES),
        "Settings (POST /_sandbox/settings)": _settings(),
        "Query string of assets": _model(AssetQuery),
    }
    content = "".join(f"<h2>{escape(t)}</h2>{text}" for t, text in sections.items())
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width'>"
        f"<title>TikTok simulator</title><style>{STYLE}</style>"
        f"<h1>TikTok simulator</h1><p>{INTRODUCTION}</p>{content}"
    )


OTHER_BODIES: Mapping[str, type[BaseModel]] = {
    "POST /_sandbox/accounts": NewAccount,
    "POST /_sandbox/accounts/{open_id}/disconnect": Removal,
    "POST /_sandbox/events": NewEvent,
}


@cache
def kinds() -> tuple[type[BaseModel], ...]:
    """List the models of all faults, as they stand in the union."""
    return tuple(get_args(Fault))


def kind_of(fault: type[BaseModel]) -> str:
    """Give the name by which a fault is scripted."""
    (name,) = get_args(fault.model_fields["kind"].annotation)
    return str(name)


def fields_of(model: type[BaseModel]) -> Iterator[tuple[str, str, str]]:
    """Yield name, default and meaning of each member, as JSON knows them."""
    for name, field in model.model_fields.items():
        if name == "kind":
            continue
        value = field.get_default()
        required = value is PydanticUndefined
        default = "required" if required and field.is_required() else _shown(value)
        yield field.alias or to_camel(name), default, field.description or ""


def _shown(value: object) -> str:
    if value is PydanticUndefined:
        return "made up"
    if isinstance(value, BaseModel):
        return value.model_dump_json(by_alias=True)
    return dumps(value)


def _routes(routes: Iterable[Route]) -> str:
    return "".join(
        f"<p><code>{_methods(route)} {escape(route.path)}</code> "
        f"<i>{escape(route.name)}</i> {escape(_summary(route.endpoint))}</p>"
        for route in routes
    )


def _methods(route: Route) -> str:
    return ", ".join(sorted((route.methods or set()) - {"HEAD"}))


def _summary(what: object) -> str:
    return (getdoc(what) or "").partition("\n\n")[0].replace("\n", " ")


def _fault(fault: type[BaseModel]) -> str:
    name = kind_of(fault)
    calls = CALLS_OF_KIND.get(name)
    only = f" For {', '.join(sorted(calls))}." if calls and len(calls) < 5 else ""
    return f"<h3><code>{name}</code></h3><p>{only}</p>{_model(fault)}"


def _bodies(models: Mapping[str, type[BaseModel]]) -> str:
    return "".join(
        f"<h3><code>{escape(name)}</code></h3>{_model(model)}"
        for name, model in models.items()
    )


def _settings() -> str:
    return f"{_model(SandboxSettings)}{_model(Quotas)}"


def _model(model: type[BaseModel]) -> str:
    members = "".join(
        f"<dt><code>{escape(name)}</code>: <code>{escape(default)}</code></dt>"
        f"<dd>{escape(meaning)}</dd>"
        for name, default, meaning in fields_of(model)
    )
    return f"<p>{escape(_summary(model))}</p><dl>{members}</dl>"
