"""The places that pages speak of, on this machine: ports, folders, a service."""

import asyncio
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
from sqlalchemy import make_url

from tests.docs.pages import Place
from tests.docs.terminal import Terminal
from tests.support.patience import PATIENCE_SECONDS
from tests.support.repository import ROOT
from tests.system.programs import free_port

PORTS: Final = ("9000", "8000", "8001", "9101")
FOLDERS: Final = ("/var/lib/tiktok-scheduler", "/var/backups", "/tmp/drill")
SERVES: Final = re.compile(
    r"^([^#&\n]*tiktok-scheduler (?:serve|worker|sandbox)\b[^#&\n]*)", re.MULTILINE
)

# An answer that is an error fails; the stream has no end.
_CURL: Final = """\
curl() {
  case "$*" in
    *-N*) command curl --max-time 3 "$@" || [ $? = 28 ] ;;
    *--fail*) command curl "$@" ;;
    *) command curl --fail-with-body --no-progress-meter "$@" ;;
  esac
}
"""
# What needs root or systemd is left out, and the rest of the line done.
_WITHOUT_ROOT: Final = """\
systemctl() { :; }
sudo() { shift 2; "$@"; }
install() {
  local kept=()
  while [ $# -gt 0 ]; do
    case "$1" in --owner|--group) shift 2 ;; *) kept+=("$1"); shift ;; esac
  done
  command install "${kept[@]}"
}
"""
_SIMULATOR: Final = """\
tiktok-scheduler sandbox --port 9000 &
export SANDBOX=http://127.0.0.1:9000
"""
_SERVICE: Final = """\
export TIKTOK_API_BASE_URL=http://127.0.0.1:9000 ALLOW_PRIVATE_URLS=true
export TIKTOK_AUTHORIZE_URL=http://127.0.0.1:9000/v2/auth/authorize/
export TIKTOK_CLIENT_KEY=sandbox_key TIKTOK_CLIENT_SECRET=sandbox_secret
export TIKTOK_REDIRECT_URI=http://127.0.0.1:8000/oauth/tiktok/callback
export CORS_ORIGINS=https://app.example.com
export BASE=http://127.0.0.1:8000 KEY=$(tiktok-scheduler keys create)
tiktok-scheduler serve --port 8000 &
"""
_SERVER: Final = """\
mkdir -p /var/lib/tiktok-scheduler /var/backups/keys ./tmp
(cd /var/lib/tiktok-scheduler && tiktok-scheduler accounts reencrypt)
export TOKEN_ENCRYPTION_KEYS=$(cat /var/lib/tiktok-scheduler/scheduler.db.key)
DATABASE_URL=postgresql://scheduler@127.0.0.1/scheduler tiktok-scheduler migrate
"""
BEFORE: Final = {
    Place.FOLDER: _CURL,
    Place.SIMULATOR: _SIMULATOR,
    Place.SERVICE: _CURL + _SIMULATOR + _SERVICE,
    Place.SERVER: _CURL + _WITHOUT_ROOT + _SERVER,
}


@dataclass(slots=True)
class Machine:
    """Where things are on this machine."""

    directory: Path
    database: str
    ports: dict[str, int] = field(
        default_factory=lambda: {each: free_port() for each in PORTS}
    )

    def moved(self, commands: str) -> str:
        """Return commands with this machine's ports, folders and database.

        A server that a reader would give a terminal of its own runs beside the rest.
        """
        for old, new in (*self._moves(), *self._servers()):
            commands = commands.replace(old, new)
        return SERVES.sub(r"\1 &", commands.replace(" &\n", "\n"))

    def _moves(self) -> list[tuple[str, str]]:
        return [
            ("make install && . .venv/bin/activate", "true"),
            (" .env.example", f" {ROOT}/.env.example"),
            ("tiktok-scheduler serve\n", "tiktok-scheduler serve --port 8000\n"),
            *((f":{old}", f":{new}") for old, new in self.ports.items()),
            *((f"port {old}", f"port {new}") for old, new in self.ports.items()),
            *((folder, f"{self.directory}{folder}") for folder in FOLDERS),
        ]

    def _servers(self) -> list[tuple[str, str]]:
        url = make_url(self.database)
        who = f"{url.username}@{url.host}:{url.port}/{url.database}"
        return [
            ("scheduler@127.0.0.1/scheduler", who),
            (
                "--username=scheduler scheduler_restored",
                f"--port={url.port} --username={url.username} {url.database}_restored",
            ),
        ]

    async def started(self, commands: str) -> None:
        """Wait until whatever some commands have started answers."""
        for program in SERVES.findall(commands):
            (port,) = re.findall(r"port (\d+)", program)
            path = "_sandbox/healthz" if "sandbox" in program else "readyz"
            await _answers(f"http://127.0.0.1:{port}/{path}")


async def prepare(terminal: Terminal, machine: Machine, place: Place) -> None:
    """Make a place what the page takes it for."""
    commands = machine.moved(BEFORE[place])
    await terminal.answer(commands)
    await machine.started(commands)
    if place is Place.SERVICE:
        await terminal.answer("export KEY BASE")


async def _answers(url: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client:
        while time.monotonic() < deadline:
            try:
                (await client.get(url)).raise_for_status()
            except httpx.HTTPError:
                await asyncio.sleep(0.05)
            else:
                return
    raise AssertionError(f"nobody answers at {url}")
