"""Show the compose page: simulator, service and page on loopback, until Ctrl-C."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from examples.site import Site, free_port, npm, port_of, running, serving

HERE = Path(__file__).parent
PROJECT = "proj_1"


@contextmanager
def compose_page(folder: Path) -> Iterator[tuple[Site, str]]:
    """Build and start the page; yield the service behind it, and its address."""
    npm(HERE, "ci", "--no-audit", "--no-fund", "--loglevel=error")
    npm(HERE, "run", "-s", "check")
    npm(HERE, "run", "-s", "build")
    page = f"http://127.0.0.1:{free_port()}"
    with serving(folder, CORS_ORIGINS=page) as site:
        env = {
            **site.env,
            "SCHEDULER_URL": site.api,
            "SCHEDULER_KEY": site.key,
            "PROJECT_ID": PROJECT,
            "PORT": port_of(page),
            "SAMPLE_VIDEO": f"{site.tiktok}/_sandbox/video.mp4",
        }
        server = ["node", str(HERE / "dist" / "server" / "server.js")]
        with running(server, page, env, folder):
            yield site, page


def main() -> None:
    """Serve until Ctrl-C."""
    with tempfile.TemporaryDirectory() as folder, compose_page(Path(folder)) as started:
        print(f"The compose page is at {started[1]} (Ctrl-C ends it)")  # noqa: T201
        with suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)


if __name__ == "__main__":
    main()
