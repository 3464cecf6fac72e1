"""The command init: write a .env with new secrets, and print the next steps."""

import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from secrets import token_bytes, token_hex
from typing import Annotated, Final

import typer

_NEXT: Final = """\
Wrote {path}: fresh secrets for the database, the cron trigger and stored tokens.

Next:
  docker compose {profile}up --build --detach
  curl --fail --retry 30 --retry-all-errors http://127.0.0.1:8000/readyz
  docker compose exec api tiktok-scheduler keys create --name me
"""
# For the simulator of compose.yaml. The person's browser finds it on this machine.
_SIMULATOR: Final = {
    "TIKTOK_API_BASE_URL": "http://simulator:9000",
    "TIKTOK_AUTHORIZE_URL": "http://127.0.0.1:9000/v2/auth/authorize/",
    "TIKTOK_CLIENT_KEY": "sandbox_key",
    "TIKTOK_CLIENT_SECRET": "sandbox_secret",
    "TIKTOK_REDIRECT_URI": "http://127.0.0.1:8000/oauth/tiktok/callback",
    "ALLOW_PRIVATE_URLS": "true",
}


def init(
    path: Annotated[
        Path, typer.Option("--env-file", help="What to write; never overwritten.")
    ] = Path(".env"),
    *,
    simulator: Annotated[
        bool, typer.Option("--simulator", help="For compose.yaml's simulator.")
    ] = False,
) -> None:
    """Write a .env with fresh secrets, and tell what to do next."""
    if path.exists():
        raise typer.BadParameter(f"{path} exists; nothing was changed")
    # The file holds secrets: only its owner may read it, from the first byte.
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(filled(_example(), _SIMULATOR if simulator else {}), "utf-8")
    profile = "--profile simulator " if simulator else ""
    typer.echo(_NEXT.format(path=path, profile=profile), nl=False)


def filled(example: str, more: Mapping[str, str]) -> str:
    """Return the example with each required value filled in."""
    values = {
        "CRON_SECRET": token_hex(24),
        "TOKEN_ENCRYPTION_KEYS": urlsafe_b64encode(token_bytes(32)).decode(),
        **more,
    }
    for name, value in values.items():
        line = re.compile(rf"^(# )?{name}=.*$", re.MULTILINE)
        example = line.sub(f"{name}={value}", example, count=1)
    return (
        f"{example.rstrip()}\n\n"
        "# What compose.yaml's Postgres is made with; part of a URL, so letters and\n"
        f"# digits alone.\nPOSTGRES_PASSWORD={token_hex(16)}\n"
    )


def _example() -> str:
    """Return .env.example: beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).resolve().parents[1]
    for place in (package.parent / ".env.example", package / "_env.example"):
        if place.is_file():
            return place.read_text("utf-8")
    raise FileNotFoundError(".env.example is missing from this installation")
