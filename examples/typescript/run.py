"""Run the example: simulator and service on loopback, then the TypeScript program.

Everything is made for this run and ended after it; only node_modules stays.
"""

import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

HERE = Path(__file__).parent
SCHEDULER = Path(sysconfig.get_path("scripts")) / "tiktok-scheduler"
PATIENCE_SECONDS = 60


def main() -> None:
    """Start everything, run the program, end everything."""
    if shutil.which("npm") is None:
        sys.exit("npm is needed: it comes with Node.js 20 or newer.")
    npm("ci", "--no-audit", "--no-fund", "--loglevel=error")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        tiktok, api = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        env = environment(folder, tiktok=tiktok, api=api)
        for command, url, probe in (
            ("sandbox", tiktok, "/_sandbox/calls"),
            ("serve", api, "/readyz"),
        ):
            stack.enter_context(running(command, url, probe, env, folder))
        key = scheduler("keys", "create", "--name", "example", env=env, cwd=folder)
        npm("run", "-s", "generate", "--", f"{api}/openapi.json")
        npm("run", "-s", "check")
        npm("run", "-s", "build")
        video = f"{tiktok}/_sandbox/video.mp4"
        npm("run", "-s", "start", SCHEDULER_URL=api, SCHEDULER_KEY=key, VIDEO_URL=video)


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
    command: str, url: str, probe: str, env: Mapping[str, str], folder: Path
) -> Iterator[None]:
    """Run a command on the port of a URL until the block ends."""
    port = url.rpartition(":")[2]
    process = subprocess.Popen(
        [SCHEDULER, command, "--port", port],
        env=env,
        cwd=folder,  # a .env of the caller's is none of the example's
        stdout=subprocess.DEVNULL,
    )
    try:
        until_it_answers(process, url + probe)
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def until_it_answers(process: subprocess.Popen[bytes], url: str) -> None:
    """Wait for a server that was just started."""
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


def npm(*arguments: str, **env: str) -> None:
    """Run npm here; its failure is ours."""
    command = ["npm", *arguments]
    ran = subprocess.run(command, cwd=HERE, env={**os.environ, **env}, check=False)
    if ran.returncode:
        sys.exit(ran.returncode)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


if __name__ == "__main__":
    main()
