"""Draw the figures in bench/results/: `.venv-bench/bin/python -m bench.plots`.

One picture for each benchmark, one panel for each unit: medians as bars, rounds as
dots, the bar that has to be reached as a line.
"""

import json
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

RESULTS: Final = Path(__file__).parent / "results"
_INCHES_PER_BAR: Final = 0.45


def main() -> None:
    """Draw every result that has figures."""
    for path in sorted(RESULTS.glob("*.json")):
        found = json.loads(path.read_text())
        if isinstance(found, dict) and found.get("figures"):
            _draw(found, path.with_suffix(".png"))


def _draw(found: dict[str, Any], into: Path) -> None:
    units = list(dict.fromkeys(each["unit"] for each in found["figures"]))
    panels = [
        [each for each in found["figures"] if each["unit"] == unit] for unit in units
    ]
    heights = [len(panel) + 1.5 for panel in panels]
    figure, axes = plt.subplots(
        len(panels),
        figsize=(8, sum(heights) * _INCHES_PER_BAR),
        height_ratios=heights,
        squeeze=False,
        layout="constrained",
    )
    for axis, unit, panel in zip(axes[:, 0], units, panels, strict=True):
        _panel(axis, unit, panel)
    figure.suptitle(f"{found['benchmark']}   {found['at'][:10]}   {found['machine']}")
    figure.savefig(into, dpi=120)
    plt.close(figure)


def _panel(axis: Axes, unit: str, figures: list[dict[str, Any]]) -> None:
    for place, each in enumerate(figures):
        axis.barh(place, each["value"], color="#b9d3ee")
        axis.plot(each["rounds"], [place] * len(each["rounds"]), ".", color="#1f4e79")
        if each["bar"]:
            limit = float(each["bar"].split()[1])
            color = "#2e7d32" if each["ok"] else "#c62828"
            axis.plot([limit, limit], [place - 0.45, place + 0.45], color=color, lw=2.5)
    axis.set_yticks(range(len(figures)), [each["name"] for each in figures])
    axis.invert_yaxis()
    axis.set_xlabel(unit)
    axis.set_xlim(left=0)


if __name__ == "__main__":
    main()
