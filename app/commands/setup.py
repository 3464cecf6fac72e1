"""The command init: write a .env with new secrets, and print the next steps."""

import re
from base64 import urlsafe_b64encode
from pathlib import Path
from secrets import token_bytes, token_hex
from typing import Annotated

import typer

_NEXT = """\
Wrote {path}: fresh secrets for the database, the cron trigger and stored tokens.

Next:
  docker compose up --detach
  docker compose run --rm api keys create --name me
  curl http://127.0.0.1:8000/readyz
"""


def init(
    path: Annotated[
        Path, typer.Option("--env-file", help="What to write; never overwritten.")
    ] = Path(".env"),
) -> None:
    """Write a .env with fresh secrets, and tell what to do next."""
    if path.exists():
        raise typer.BadParameter(f"{path} exists; nothing was changed")
    # The file holds secrets: only its owner may read it, from the first byte.
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(filled(_example()))
    typer.echo(_NEXT.format(path=path))


def filled(example: str) -> str:
    """Return the example with each required secret filled in."""
    secrets = {
        "CRON_SECRET": token_hex(24),
        "TOKEN_ENCRYPTION_KEYS": urlsafe_b64encode(token_bytes(32)).decode(),
    }
    for name, value in secrets.items():
        example = re.sub(
            rf"^# {name}=$", f"{name}={value}", example, count=1, flags=re.MULTILINE
        )
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
