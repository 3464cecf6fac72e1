"""Run one benchmark in a process of its own: `python -m bench.child`.

So no benchmark profits or suffers from what another imported, warmed up or left.
"""

import asyncio
import json
import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import cast

from bench.figures import Benchmark


def main(name: str, rounds: str, quick: str, into: str) -> None:
    """Run it and write its figures as JSON."""
    benchmark = cast("Benchmark", import_module(f"bench.{name}"))
    figures = asyncio.run(benchmark.run(int(rounds), quick == "quick"))
    Path(into).write_text(json.dumps([asdict(figure) for figure in figures]))


if __name__ == "__main__":
    main(*sys.argv[1:])
