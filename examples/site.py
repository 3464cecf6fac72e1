"""What the examples have in common: simulator and service on loopback, and npm.

Everything is made for one run and ended after it; only node_modules stays.
"""

import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

SCHEDULER = Path(sysconfig.get_path("scripts")) / "tiktok-scheduler"
PATIENCE_SECONDS = 180


@dataclass(frozen=True)
class Site:
    """A running service, the simulator it posts to, and how to start more of it."""

    tiktok: str
    api: str
    key: str
    env: Mapping[str, str]
    folder: Path


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[Site]:
    """Start simulator and service with an SQLite file in the folder, and make a key."""
    tiktok, api = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    env = environment(folder, tiktok=tiktok, api=api) | settings
    sandbox = [str(SCHEDULER), "sandbox", "--port", port_of(tiktok)]
    serve = [str(SCHEDULER), "serve", "--port", port_of(api)]
    with (
        running(sandbox, f"{tiktok}/_sandbox/calls", env, folder),
        running(serve, f"{api}/readyz", env, folder),
    ):
        key = scheduler("keys", "create", "--name", "example", env=env, cwd=folder)
        yield Site(tiktok, api, key, env, folder)


def environment(folder: Path, *, tiktok: str, api: str) -> dict[str, str]:
    """Set up a service that posts to the simulator, a little quicker than life."""
    return {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "ALLOW_PRIVATE_URLS": "true",
        "DATABASE_URL": f"sqlite+aiosqlite:///{folder}/example.db",
        "LOG_LEVEL": "warning",
        "POLL_INTERVAL_SECONDS": "1",
        "TIKTOK_API_BASE_URL": tiktok,
        "TIKTOK_AUTHORIZE_URL": f"{tiktok}/v2/auth/authorize/",
        "TIKTOK_CLIENT_KEY": "sandbox_key",
        "TIKTOK_CLIENT_SECRET": "sandbox_secret",
        "TIKTOK_REDIRECT_URI": f"{api}/oauth/tiktok/callback",
    }


@contextmanager
def running(
    command: Sequence[str], probe: str, env: Mapping[str, str], folder: Path
) -> Iterator[None]:
    """Run a program until the block ends; ``probe`` is a URL that it answers."""
    process = subprocess.Popen(
        command,
        env=env,
        cwd=folder,  # a .env of the caller's is none of the example's
        stdout=subprocess.DEVNULL,
    )
    try:
        _until_it_answers(process, probe)
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def _until_it_answers(process: subprocess.Popen[bytes], url: str) -> None:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < give_up:
        try:
            urlopen(url, timeout=5).close()
        except URLError:
            time.sleep(0.1)
        else:
            return
    sys.exit(f"{url} does not answer")


def scheduler(*arguments: str, env: Mapping[str, str], cwd: Path) -> str:
    """Run a command to its end and return what it printed."""
    command = [str(SCHEDULER), *arguments]
    ran = subprocess.run(command, env=env, cwd=cwd, stdout=subprocess.PIPE, check=True)
    return ran.stdout.decode().strip()


def npm(folder: Path, *arguments: str, **env: str) -> None:
    """Run npm in a folder; raises CalledProcessError."""
    if shutil.which("npm") is None:
        sys.exit("npm is needed: it comes with Node.js 20 or newer.")
    subprocess.run(
        ["npm", *arguments], cwd=folder, env={**os.environ, **env}, check=True
    )


def port_of(url: str) -> str:
    """Return the port of a loopback URL."""
    return url.rpartition(":")[2]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
