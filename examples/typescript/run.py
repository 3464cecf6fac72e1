"""Run the example: simulator and service on loopback, then the TypeScript program."""

import tempfile
from pathlib import Path

from examples.site import npm, serving

HERE = Path(__file__).parent


def main() -> None:
    """Start everything, run the program, end everything."""
    npm(HERE, "ci", "--no-audit", "--no-fund", "--loglevel=error")
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as site:
        npm(HERE, "run", "-s", "generate", "--", f"{site.api}/openapi.json")
        npm(HERE, "run", "-s", "check")
        npm(HERE, "run", "-s", "build")
        npm(
            *(HERE, "run", "-s", "start"),
            SCHEDULER_URL=site.api,
            SCHEDULER_KEY=site.key,
            VIDEO_URL=f"{site.tiktok}/_sandbox/video.mp4",
        )


if __name__ == "__main__":
    main()
