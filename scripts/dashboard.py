"""Draw docs/pictures/dashboard.svg: the dashboard's own queries on a service at work.

    python -m scripts.dashboard

Needs Prometheus, and five minutes: simulator and service post what many projects ask
for, while the simulator now and then limits, fails, bans and loses an answer.
"""

import json
import os
import random
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from examples.site import Site, free_port, running, serving

ROOT: Final = Path(__file__).resolve().parents[1]
DASHBOARD: Final = ROOT / "deploy" / "grafana" / "dashboard.json"
PICTURE: Final = ROOT / "docs" / "pictures" / "dashboard.svg"

SECONDS: Final = 240
STEP: Final = 3
POSTS_A_SECOND: Final = 2
PROJECTS: Final = 240
VARIABLES: Final = {"$job": ".*", "$__range": f"{SECONDS}s", "$__rate_interval": "20s"}
SHOWN: Final = 41
"""Rows of the dashboard's grid that are drawn; the rest is on the same page below."""

UNIT: Final = 40.0
"""Pixels of one column; a row of the grid is 26 high."""
HIGH: Final = 26.0
NAMESPACE: Final = "http://www.w3.org/2000/svg"
TEXT: Final = 'font-family="sans-serif" font-size="12" fill="#d5dae0"'
COLOURS: Final = ("#3d8f5f", "#c98a1b", "#3f74b5", "#b5483f", "#7d5ba6", "#5d6b78")
WORST: Final[tuple[tuple[str, dict[str, Any], float], ...]] = (
    ("init", {"kind": "rate_limit", "retryAfter": 5}, 0.03),
    ("init", {"kind": "error", "code": "spam_risk_user_banned_from_posting"}, 0.02),
    ("init", {"kind": "reset", "taken": True}, 0.003),
    ("status", {"kind": "gateway"}, 0.03),
    ("creator_info", {"kind": "gateway"}, 0.02),
)


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a panel."""

    label: str
    points: Sequence[tuple[float, float]]  # seconds since 1970, value

    @property
    def total(self) -> float:
        """Return the sum of its values."""
        return sum(value for _, value in self.points if value == value)


def main() -> None:
    """Let a service work for some minutes, and draw what Prometheus saw."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    with tempfile.TemporaryDirectory() as name, serving(Path(name)) as site:
        prepare(site)
        with prometheus(Path(name), site.api) as address:
            post_for(site, SECONDS)
            ends = time.time()
            found = {panel["id"]: asked(address, panel, ends) for panel in panels}
    PICTURE.write_text(drawn(panels, found))


def prepare(site: Site) -> None:
    """Connect an account to each project, and script what goes wrong."""
    for number in range(PROJECTS):
        person = {"openId": f"person_{number}", "expiresIn": 86_400}
        pair = call(f"{site.tiktok}/_sandbox/accounts", person)
        path = f"{site.api}/v1/projects/proj_{number}/accounts/tiktok"
        grant = {
            "openId": person["openId"],
            "accessToken": pair["accessToken"],
            "refreshToken": pair["refreshToken"],
            "expiresIn": 86_400,
            "refreshExpiresIn": 86_400,
            "scope": "user.info.basic,video.publish,video.upload",
        }
        call(path, grant, key=site.key, method="PUT")
    for what, fault, probability in WORST:
        rule = {"call": what, "times": None, "probability": probability, "fault": fault}
        call(f"{site.tiktok}/_sandbox/faults", rule)


def post_for(site: Site, seconds: float) -> None:
    """Create posts, more of them in the middle than at the ends."""
    began, number, chosen = time.monotonic(), 0, random.Random(1)
    with ThreadPoolExecutor(4) as callers:
        while (passed := time.monotonic() - began) < seconds:
            busy = 1.8 if 0.4 < passed / seconds < 0.6 else 1.0
            time.sleep(chosen.expovariate(POSTS_A_SECOND * busy))
            number += 1
            callers.submit(ask_for_a_post, site, number, chosen.randrange(PROJECTS))


def ask_for_a_post(site: Site, number: int, project: int) -> None:
    """Ask for a Post Now."""
    body = {
        "projectId": f"proj_{project}",
        "assetId": f"asset_{number}",
        "assetUrl": f"{site.tiktok}/_sandbox/video.mp4",
        "post": {"title": "Hello", "privacyLevel": "SELF_ONLY"},
    }
    call(f"{site.api}/v1/jobs", body, key=site.key)


def call(
    url: str, body: object = None, *, key: str = "", method: str | None = None
) -> Any:  # noqa: ANN401  its JSON
    """Call a program on this machine."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    with urlopen(Request(url, data, headers, method=method), timeout=60) as answer:
        return json.load(answer)


@contextmanager
def prometheus(folder: Path, api: str) -> Iterator[str]:
    """Run Prometheus on the service; yield its address."""
    target = api.removeprefix("http://")
    scraped = {"job_name": "scheduler", "static_configs": [{"targets": [target]}]}
    config = {"global": {"scrape_interval": "2s"}, "scrape_configs": [scraped]}
    (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML, too
    address = f"127.0.0.1:{free_port()}"
    command = ["prometheus", f"--web.listen-address={address}"]
    command += ["--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    url = f"http://{address}"
    env = {"PATH": os.environ["PATH"]}
    with running(command, f"{url}/-/ready", env, folder):
        yield url


def asked(address: str, panel: Mapping[str, Any], ends: float) -> list[Series]:
    """Ask for everything that a panel shows; raises HTTPError for a wrong query."""
    found = []
    for target in panel.get("targets", []):
        query = target["expr"]
        for name, value in VARIABLES.items():
            query = query.replace(name, value)
        span = {"query": query, "start": ends - SECONDS, "end": ends, "step": STEP}
        answer = call(f"{address}/api/v1/query_range?{urlencode(span)}")
        for each in answer["data"]["result"]:
            label = named(target.get("legendFormat", ""), each["metric"])
            found.append(Series(label, [(at, float(v)) for at, v in each["values"]]))
    if panel["type"] == "stat":
        return found
    seen = [each for each in found if each.total > 0] or found[:1]
    return sorted(seen, key=lambda each: -each.total)


def named(template: str, labels: Mapping[str, str]) -> str:
    """Fill in the labels of a legend."""
    filled = re.sub(r"\{\{(\w+)\}\}", lambda it: labels.get(it[1], ""), template)
    return "the service" if "127.0.0.1" in filled else filled.strip(": ")


def drawn(
    panels: Sequence[Mapping[str, Any]], found: Mapping[int, Sequence[Series]]
) -> str:
    """Draw the upper part of the dashboard as SVG."""
    shown = [panel for panel in panels if panel["gridPos"]["y"] < SHOWN]
    width, height = 24 * UNIT, SHOWN * HIGH
    parts = [
        f'<svg xmlns="{NAMESPACE}" viewBox="0 0 {width:g} {height:g}" {TEXT}>',
        f'<rect width="{width:g}" height="{height:g}" fill="#14171a"/>',
    ]
    for panel in shown:
        parts += boxed(panel, found[panel["id"]])
    return "\n".join([*parts, "</svg>", ""])


def boxed(panel: Mapping[str, Any], series: Sequence[Series]) -> Iterator[str]:
    """Draw one panel at its place."""
    grid = panel["gridPos"]
    x, y, w, h = (
        grid[n] * size for n, size in zip("xywh", [UNIT, HIGH] * 2, strict=True)
    )
    title = escape(panel["title"])
    if panel["type"] == "row":
        yield f'<text x="{x + 8:g}" y="{y + 18:g}" font-size="15">{title}</text>'
        return
    yield (
        f'<rect x="{x + 3:g}" y="{y + 3:g}" width="{w - 6:g}" height="{h - 6:g}"'
        ' rx="3" fill="#1d2125"/>'
        f'<text x="{x + 12:g}" y="{y + 22:g}">{title}</text>'
    )
    defaults = panel["fieldConfig"]["defaults"]
    if panel["type"] == "stat":
        yield figure(defaults, series, x + w / 2, y + h * 0.7)
        return
    stacked = "stacking" in defaults["custom"]
    yield from chart(series, defaults["unit"], (x, y, w, h), stacked=stacked)


def figure(
    defaults: Mapping[str, Any], series: Sequence[Series], x: float, y: float
) -> str:
    """Draw a single figure in the colour of its threshold."""
    value = series[0].points[-1][1] if series else None
    text = defaults["noValue"] if value is None else spelt(value, defaults["unit"])
    colour = "green"
    for step in defaults["thresholds"]["steps"]:
        if step["value"] is None or (value is not None and value >= step["value"]):
            colour = step["color"]
    shade = {"green": COLOURS[0], "yellow": COLOURS[1], "red": COLOURS[3]}[colour]
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="34" text-anchor="middle"'
        f' fill="{shade}">{escape(text)}</text>'
    )


def chart(
    series: Sequence[Series],
    unit: str,
    place: tuple[float, float, float, float],
    *,
    stacked: bool,
) -> Iterator[str]:
    """Draw lines, or areas on top of each other, with scale and legend."""
    x, y, w, h = place
    left, right, top, bottom = x + 52, x + w - 14, y + 34, y + h - 46
    every = sorted({at for each in series for at, _ in each.points})
    if not every:
        yield f'<text x="{x + 60:g}" y="{y + h / 2:g}" fill="#7d868f">none</text>'
        return
    layers = list(heights(series, every, stacked=stacked))
    most = max((v for layer in layers for v in layer if v == v), default=0) or 1
    for part in (0, 0.5, 1):
        line = bottom - part * (bottom - top)
        yield (
            f'<path d="M{left:g} {line:g}H{right:g}" stroke="#2c3238"/>'
            f'<text x="{left - 6:g}" y="{line + 4:g}" text-anchor="end"'
            f' fill="#7d868f">{spelt(part * most, unit)}</text>'
        )
    span = (every[-1] - every[0]) or 1
    across = [left + (at - every[0]) / span * (right - left) for at in every]
    for number in reversed(range(len(layers))):
        colour = COLOURS[number % len(COLOURS)]
        points = [
            f"{px:.0f},{bottom - v / most * (bottom - top):.1f}"
            for px, v in zip(across, layers[number], strict=True)
            if v == v
        ]
        path = " ".join(points)
        if stacked:
            path = f"{left:g},{bottom:g} {path} {right:g},{bottom:g}"
        fill = colour if stacked else "none"
        yield (
            f'<polyline points="{path}" fill="{fill}" stroke="{colour}"'
            ' stroke-width="1.5"/>'
        )
    yield from legend(series, left - 40, y + h - 26, w - 30)


def heights(
    series: Sequence[Series], every: Sequence[float], *, stacked: bool
) -> Iterator[list[float]]:
    """Yield each line's height at every moment; NaN where there is none."""
    base = [0.0] * len(every)
    for each in series:
        known = dict(each.points)
        if stacked:
            base = [
                b + max(0.0, known.get(at, 0))
                for b, at in zip(base, every, strict=True)
            ]
            yield base
        else:
            yield [known.get(at, float("nan")) for at in every]


def legend(series: Sequence[Series], x: float, y: float, w: float) -> Iterator[str]:
    """Name the lines below their chart, in two rows at most."""
    at, row = 0.0, 0
    for number, each in enumerate(series):
        wide = 22 + 6.2 * len(each.label)
        if at + wide > w:
            at, row = 0.0, row + 1
        if row > 1:
            return
        colour = COLOURS[number % len(COLOURS)]
        px, py = x + at, y + row * 15
        yield (
            f'<rect x="{px:g}" y="{py - 8:g}" width="9" height="9" fill="{colour}"/>'
            f'<text x="{px + 13:g}" y="{py:g}" font-size="11">'
            f"{escape(each.label)}</text>"
        )
        at += wide


def spelt(value: float, unit: str) -> str:
    """Write a value with its unit."""
    if value != value:
        return "-"
    if unit == "percentunit":
        return f"{value:.1%}"
    if unit == "s":
        return f"{value * 1000:.0f} ms" if 0 < value < 1 else f"{value:.1f} s"
    return f"{value:.3g}{'/s' if unit == 'ops' else ''}"


if __name__ == "__main__":
    main()
