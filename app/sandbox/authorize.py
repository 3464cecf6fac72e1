"""TikTok's consent page: it sends the browser back with a code, or a refusal."""

from collections.abc import Mapping
from html import escape
from urllib.parse import urlencode, urlsplit

from starlette.datastructures import QueryParams

from app.sandbox.accounts import ALL_SCOPES, CODE_LIFETIME_SECONDS, Code
from app.sandbox.answers import Answer
from app.sandbox.consent import choice
from app.sandbox.faults import Error
from app.sandbox.request import ApiRequest
from app.sandbox.state import Sandbox

LOOPBACK = ("localhost", "127.0.0.1", "::1")
HTML = "text/html; charset=utf-8"


def authorize(sandbox: Sandbox, request: ApiRequest) -> Answer:
    """Ask the person for consent, or take it as given.

    https://developers.tiktok.com/doc/login-kit-web
    """
    query = request.query
    open_id = query.get("open_id", sandbox.settings.signed_in_as)
    problem = _problem_of_client(sandbox, query, open_id)
    if problem is not None:
        # Never redirect to an address that was not checked.
        return _page(400, "invalid_request", f"<h1>{escape(problem)}</h1>")
    refusal = _refusal(request)
    if refusal is not None:
        return _back(query, refusal, error=refusal, error_description=refusal)
    if _asks(sandbox, query):
        return _page(200, "ok", choice(query, sandbox.accounts))
    return _approve(sandbox, query, open_id)


def _asks(sandbox: Sandbox, query: Mapping[str, str]) -> bool:
    # Who names the person in the address has chosen already.
    forced = query.get("disable_auto_auth") == "1" and "open_id" not in query
    asks = sandbox.settings.consent_page or forced
    return asks and query.get("approve") != "1"


def _approve(sandbox: Sandbox, query: QueryParams, open_id: str) -> Answer:
    account = sandbox.accounts.people[open_id]
    scopes = tuple(s for s in _ticked_scopes(query) if s in account.scopes)
    code = Code(
        open_id=account.open_id,
        scopes=scopes,
        redirect_uri=query["redirect_uri"],
        challenge=query.get("code_challenge"),
        expires_at=sandbox.now() + CODE_LIFETIME_SECONDS,
    )
    sandbox.accounts.codes[code.value] = code
    return _back(query, "ok", code=code.value, scopes=",".join(scopes))


def _problem_of_client(
    sandbox: Sandbox, query: Mapping[str, str], open_id: str
) -> str | None:
    if query.get("client_key") != sandbox.settings.client_key:
        return "client_key is unknown"
    if not _is_redirect_uri(query.get("redirect_uri", "")):
        return "redirect_uri is not one that TikTok would register"
    if open_id not in sandbox.accounts.people:
        return "open_id is no account of this simulator"
    return None


def _is_redirect_uri(uri: str) -> bool:
    # Web: https, static, under 512 characters. Desktop: http on the loopback.
    # https://developers.tiktok.com/doc/login-kit-web, .../login-kit-desktop
    parts = urlsplit(uri)
    static = not parts.query and not parts.fragment and len(uri) < 512
    loopback = parts.scheme == "http" and parts.hostname in LOOPBACK
    web = parts.scheme == "https" and bool(parts.hostname)
    return static and (web or loopback)


def _refusal(request: ApiRequest) -> str | None:
    query, fault = request.query, request.drawn.answer
    if isinstance(fault, Error):
        return fault.code
    if query.get("deny") == "1":
        return "access_denied"
    if query.get("response_type") != "code":
        return "unsupported_response_type"
    scopes = _asked_scopes(query)
    if not scopes or not set(scopes) <= set(ALL_SCOPES):
        return "invalid_scope"
    if query.get("code_challenge_method", "S256") != "S256":
        return "invalid_request"
    return None


def _asked_scopes(query: Mapping[str, str]) -> list[str]:
    return [scope for scope in query.get("scope", "").split(",") if scope]


def _ticked_scopes(query: QueryParams) -> list[str]:
    ticked = ",".join(query.getlist("granted")).split(",")
    asked = _asked_scopes(query)
    return asked if "granted" not in query else [s for s in asked if s in ticked]


def _back(query: Mapping[str, str], verdict: str, **more: str) -> Answer:
    state = {"state": query["state"]} if "state" in query else {}
    location = f"{query['redirect_uri']}?{urlencode({**more, **state})}"
    return Answer(302, verdict, headers={"location": location})


def _page(status: int, verdict: str, content: str) -> Answer:
    page = f"<!doctype html><title>TikTok simulator</title>{content}"
    return Answer(status, verdict, page.encode(), HTML)
