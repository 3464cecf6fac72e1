"""The docs page, from local files: no CDN, no inline script, a strict CSP."""

from functools import cache
from importlib.resources import files
from typing import Final

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

router = APIRouter(include_in_schema=False)

_CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " font-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
_HEADERS: Final = {"Content-Security-Policy": _CSP}
_DAY: Final = "public, max-age=86400"
_FILES: Final = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>tiktok-scheduler</title>
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<label id="keeping" hidden><input type="checkbox" id="keep"> Keep the key in this tab
until it is closed</label>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/init.js"></script>
</body>
</html>
"""
# validatorUrl: otherwise Swagger UI asks a server on the internet about our schema.
# The key is stored only if somebody enters it, and lives as long as the tab.
_INIT: Final = """const KEPT = "tiktok-scheduler key";
const keep = document.getElementById("keep");
const ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  validatorUrl: null,
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  persistAuthorization: false,
  onComplete() {
    const kept = sessionStorage.getItem(KEPT);
    keep.checked = kept !== null;
    document.getElementById("keeping").hidden = false;
    if (kept !== null) ui.authActions.authorize(JSON.parse(kept));
    ui.getStore().subscribe(write);
    keep.addEventListener("change", write);
  },
});
function write() {
  if (!keep.checked) return sessionStorage.removeItem(KEPT);
  sessionStorage.setItem(KEPT, JSON.stringify(ui.authSelectors.authorized().toJS()));
}
"""


@router.get("/docs")
async def page() -> HTMLResponse:
    """Show the docs page."""
    return HTMLResponse(_PAGE, headers=_HEADERS)


@router.get("/docs/init.js")
async def init() -> Response:
    """Return the script that starts Swagger UI."""
    return Response(_INIT, media_type="text/javascript", headers=_HEADERS)


@router.get("/docs/{name}")
async def asset(name: str) -> Response:
    """Return one of Swagger UI's files."""
    if name not in _FILES:
        raise HTTPException(404)
    return Response(
        _read(name),
        media_type=_FILES[name],
        headers={**_HEADERS, "Cache-Control": _DAY},
    )


@cache  # 1.5 MB in all, read once
def _read(name: str) -> bytes:
    return files("fastapi_swagger").joinpath("resources", name).read_bytes()
