"""Dashboard, alerts and their page speak of metrics that there are, and of all."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # ships no types
from prometheus_client import generate_latest

from app.metrics import Metrics
from tests.support.repository import ROOT

ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
CONFIG = ROOT / "deploy" / "prometheus" / "prometheus.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboard.json"
PAGE = ROOT / "docs" / "metrics.md"

NAME = re.compile(r"\b(?:scheduler|process)_[a-z_]+\b")
TYPE = re.compile(r"^# TYPE (\S+) (\S+)$", re.MULTILINE)
SELECTED = re.compile(r"\b((?:scheduler|process)_[a-z_]+)\{([^}]*)\}")
LABEL = re.compile(r"([a-z_]+)\s*(?:=|!=|=~|!~)")
LABELLED = {"histogram": {"_bucket", "_count", "_sum"}}
SCRAPED = {"job", "instance"}  # Prometheus adds them


@pytest.fixture(scope="module")
def kinds() -> dict[str, str]:
    """Give every metric with its kind, as it is exposed."""
    return dict(TYPE.findall(generate_latest(Metrics().registry).decode()))


@pytest.fixture(scope="module")
def series(kinds: dict[str, str]) -> set[str]:
    """Give every name that can be asked for."""
    return {
        name + suffix
        for name, kind in kinds.items()
        for suffix in LABELLED.get(kind, {""})
    }


def rules() -> list[dict[str, Any]]:
    """Read the alerts."""
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def queries() -> Iterator[str]:
    """Read what alerts and dashboard ask for."""
    yield from (rule["expr"] for rule in rules())
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        yield from (target["expr"] for target in panel.get("targets", []))


def labels() -> dict[str, set[str]]:
    """Give the labels of every metric."""
    return {
        sample.name: set(sample.labels)
        for family in Metrics().registry.collect()
        for sample in family.samples
    }


def test_every_query_asks_for_metrics_that_there_are(series: set[str]) -> None:
    """A panel or an alert on a misspelt name stays empty for ever."""
    asked = {name for query in queries() for name in NAME.findall(query)}
    assert asked - series == set()


def test_every_query_selects_by_labels_that_there_are() -> None:
    """A selector on a label that nothing has selects nothing, without a word."""
    known = labels()
    wrong = [
        (name, label)
        for query in queries()
        for name, selector in SELECTED.findall(query)
        for label in LABEL.findall(selector)
        if name in known and label not in known[name] | SCRAPED
    ]
    assert wrong == []


def test_every_metric_is_on_the_page(kinds: dict[str, str]) -> None:
    """Nobody has to guess what a figure means; and none is made up."""
    told = set(NAME.findall(PAGE.read_text()))
    assert told == set(kinds)


def test_every_metric_of_ours_is_on_the_dashboard(series: set[str]) -> None:
    """What nobody looks at need not be counted."""
    shown = " ".join(queries())
    unseen = {
        name
        for name in series
        if name.startswith("scheduler_")
        and re.sub("_(bucket|count|sum)$", "", name) not in shown
    }
    assert unseen == set()


def test_every_alert_says_what_is_wrong_and_what_to_do() -> None:
    """Whoever is woken has both in the message."""
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning"}, rule["alert"]
        assert rule["annotations"]["summary"].endswith("."), rule["alert"]
        assert len(rule["annotations"]["description"]) > 60, rule["alert"]


def test_every_alert_is_tested_both_ways() -> None:
    """`promtool test rules` fires each once, and keeps each silent once."""
    tests = (ALERTS.parent / "alerts.test.yml").read_text()
    for rule in rules():
        assert len(re.findall(rf"\b{rule['alert']}\b", tests)) >= 2, rule["alert"]


def test_prometheus_is_told_where_the_rules_are() -> None:
    """The configuration names the file, and the job that the alerts name."""
    config = yaml.safe_load(CONFIG.read_text())
    assert config["rule_files"] == [ALERTS.name]
    (job,) = config["scrape_configs"]
    assert f'job="{job["job_name"]}"' in ALERTS.read_text()


def test_every_panel_says_what_it_shows() -> None:
    """One who never saw it before can read the dashboard."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    ids = [panel["id"] for panel in panels]
    assert len(ids) == len(set(ids))
    assert panels[0]["title"] == "Are posts late?"
    shown = [panel for panel in panels if panel["type"] != "row"]
    assert all(panel["description"] for panel in shown)
