"""TikTok's consent page: it sends the browser back with a code, or a refusal."""

from collections.abc import Mapping
from html import escape
from urllib.parse import urlencode, urlsplit

from app.sandbox.accounts import (
    ALL_SCOPES,
    CODE_LIFETIME_SECONDS,
    DEFAULT_OPEN_ID,
    Code,
)
from app.sandbox.answers import Answer
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
    problem = _problem_of_client(sandbox, query)
    if problem is not None:
        # Never redirect to an address that was not checked.
        return _page(400, "invalid_request", f"<h1>{escape(problem)}</h1>")
    refusal = _refusal(request)
    if refusal is not None:
        return _back(query, refusal, error=refusal, error_description=refusal)
    if sandbox.settings.consent_page and query.get("approve") != "1":
        return _page(200, "ok", _choice(query))
    return _approve(sandbox, query)


def _approve(sandbox: Sandbox, query: Mapping[str, str]) -> Answer:
    account = sandbox.accounts.people[query.get("open_id", DEFAULT_OPEN_ID)]
    scopes = tuple(s for s in _asked_scopes(query) if s in account.scopes)
    code = Code(
        open_id=account.open_id,
        scopes=scopes,
        redirect_uri=query["redirect_uri"],
        challenge=query.get("code_challenge"),
        expires_at=sandbox.now() + CODE_LIFETIME_SECONDS,
    )
    sandbox.accounts.codes[code.value] = code
    return _back(query, "ok", code=code.value, scopes=",".join(scopes))


def _problem_of_client(sandbox: Sandbox, query: Mapping[str, str]) -> str | None:
    if query.get("client_key") != sandbox.settings.client_key:
        return "client_key is unknown"
    if not _is_redirect_uri(query.get("redirect_uri", "")):
        return "redirect_uri is not one that TikTok would register"
    if query.get("open_id", DEFAULT_OPEN_ID) not in sandbox.accounts.people:
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


def _back(query: Mapping[str, str], verdict: str, **more: str) -> Answer:
    state = {"state": query["state"]} if "state" in query else {}
    location = f"{query['redirect_uri']}?{urlencode({**more, **state})}"
    return Answer(302, verdict, headers={"location": location})


def _choice(query: Mapping[str, str]) -> str:
    approve = escape("?" + urlencode({**query, "approve": "1"}))
    deny = escape("?" + urlencode({**query, "deny": "1"}))
    return (
        "<h1>Let the app post for you?</h1>"
        f"<p>{escape(query.get('scope', ''))}</p>"
        f'<p><a href="{approve}">Approve</a> <a href="{deny}">Deny</a></p>'
    )


def _page(status: int, verdict: str, content: str) -> Answer:
    page = f"<!doctype html><title>TikTok simulator</title>{content}"
    return Answer(status, verdict, page.encode(), HTML)
