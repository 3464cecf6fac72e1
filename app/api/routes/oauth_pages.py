"""The pages after a sign-in without a frontend's redirectTo."""

from html import escape
from typing import Final

from fastapi import Request
from fastapi.responses import HTMLResponse

from app.domain.errors import SchedulerError
from app.service.accounts.connect import Connected

# The callback's URL holds a code and a state: no other page and no cache may see it.
PRIVATE: Final = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}

_CSP: Final = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{text}</p>
</main>
</body>
</html>
"""


def wants_page(request: Request) -> bool:
    """Tell whether a browser asks: it accepts HTML by name."""
    return "text/html" in request.headers.get("accept", "")


def connected_page(ended: Connected) -> HTMLResponse:
    """Return the page that names the account and the scopes not granted."""
    account = ended.account
    text = f"{account.display_name or account.open_id} is connected. "
    if ended.missing_scopes:
        names = ", ".join(ended.missing_scopes)
        text += f"You did not allow: {names}. Connect again to allow it. "
    return _page(200, "Connected", f"{text}You can close this window.")


def error_page(error: SchedulerError, *, status: int) -> HTMLResponse:
    """Return the page that says why no account was connected."""
    return _page(status, "Not connected", str(error))


def _page(status: int, title: str, text: str) -> HTMLResponse:
    content = _PAGE.format(title=escape(title), text=escape(text))
    more = {"Content-Security-Policy": _CSP, "X-Content-Type-Options": "nosniff"}
    return HTMLResponse(content, status, headers={**PRIVATE, **more})
