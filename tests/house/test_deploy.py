"""The deploy files and guides speak of what there is: settings, commands, routes."""

import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # ships no types
from typer.main import get_command

from app.cli import app as cli
from app.machine.descriptors import MOST_CALLERS, share_out
from app.main import create_app
from app.serving.connections import CallerLimits, Connections
from app.serving.server import KEEP_ALIVE_SECONDS, configured
from app.settings import Settings
from app.stopping import KEEPING_SECONDS, STOP_SECONDS
from tests.support.repository import ROOT

DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
NGINX = (DEPLOY / "nginx.conf").read_text()
GUIDES = sorted((ROOT / "docs" / "deploy").glob("*.md"))
MANIFESTS = sorted(KUBERNETES.glob("*.yaml"))

FENCE = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?<!namespace )(?<!-u )tiktok-scheduler((?: [a-z][a-z-]*)+)")
VARIABLE = re.compile(r"\b(?!AF_|POSTGRES_)[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")
NO_SETTING = {"DATABASE_URL_FILE", "CURRENT_TIMESTAMP", "ON_ERROR_STOP"}
# What a program may take to end, TikTok to answer, and the answer to be written.
GOODBYE = STOP_SECONDS + Settings(_env_file=None).http_timeout_seconds + KEEPING_SECONDS


def documents(*paths: Path) -> Iterator[dict[str, Any]]:
    """Read manifests."""
    for path in paths:
        yield from yaml.safe_load_all(path.read_text())


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    """Find the pods of every workload, each with its kind."""
    for document in documents(*MANIFESTS):
        spec = document.get("spec", {})
        template = spec.get("jobTemplate", {}).get("spec", spec).get("template")
        if template is not None:
            yield document["kind"], template["spec"]


def commands() -> set[tuple[str, ...]]:
    """List what the program can be told, by the words after its name."""
    found: set[tuple[str, ...]] = set()
    for name, command in _below(get_command(cli)):
        found |= {(name, each) for each, _ in _below(command)} or {(name,)}
    return found


def _below(command: object) -> list[tuple[str, object]]:
    return list(getattr(command, "commands", {}).items())


def known(words: list[str]) -> bool:
    """Tell whether the program has a command that begins these words."""
    return any(tuple(words[: len(each)]) == each for each in commands())


def named_settings(text: str) -> set[str]:
    """Find the words that look like settings."""
    return set(VARIABLE.findall(text)) - NO_SETTING


@pytest.mark.parametrize(
    "path",
    [*GUIDES, *UNITS, *MANIFESTS, ROOT / "compose.yaml", ROOT / "docs/retention.md"],
    ids=lambda path: path.name,
)
def test_every_setting_that_is_named_is_one(path: Path) -> None:
    """What looks like a variable can be set."""
    settings = {name.upper() for name in Settings.model_fields}
    assert named_settings(path.read_text()) <= settings


@pytest.mark.parametrize("page", [*GUIDES, ROOT / "README.md"], ids=lambda it: it.name)
def test_every_command_in_a_guide_is_one(page: Path) -> None:
    """Whoever copies a line has typed what the program knows."""
    lines = [
        line
        for block in FENCE.findall(page.read_text())
        for line in block.splitlines()
        if not line.startswith(("systemctl", "journalctl", "install", "useradd"))
    ]
    words = [
        found.split()
        for line in lines
        for found in COMMAND.findall(line.partition("#")[0])
    ]
    assert [each for each in words if not known(each)] == []


def test_every_container_and_unit_runs_a_command() -> None:
    """Also where nobody types it."""
    started = [
        [str(word) for word in container["args"]]
        for _, pod in pods()
        for container in pod["containers"]
    ]
    for unit in UNITS:
        (line,) = re.findall(r"^ExecStart=\S+ (.+)$", unit.read_text(), re.MULTILINE)
        started.append(line.split())
    assert len(started) == 6
    assert [each for each in started if not known(each)] == []


def test_every_stop_is_given_its_time() -> None:
    """SIGKILL comes when a goodbye cannot take any longer."""
    for kind, pod in pods():
        if kind != "Job":  # a migration is short, and whole or nothing
            assert pod["terminationGracePeriodSeconds"] > GOODBYE
    for unit in UNITS:
        (seconds,) = re.findall(
            r"^TimeoutStopSec=(\d+)$", unit.read_text(), re.MULTILINE
        )
        assert int(seconds) > GOODBYE
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    for name in ("api", "worker"):
        assert int(services[name]["stop_grace_period"].rstrip("s")) > GOODBYE


def test_the_image_is_built_from_all_that_the_wheel_is_made_of() -> None:
    """What .dockerignore keeps out is missing in the image's build."""
    allowed = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {
        "pyproject.toml",
        project["project"]["readme"],
        *wheel["only-include"],
        *wheel["force-include"],
    }
    assert needed <= set(allowed)


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_waits_for_the_clock(unit: Path) -> None:
    """A clock that is wrong at the start posts early."""
    text = unit.read_text()
    for order in ("Wants", "After"):
        assert re.search(rf"^{order}=.*\btime-sync\.target\b", text, re.MULTILINE)


def test_a_proxy_lets_go_of_a_connection_before_the_service_does() -> None:
    """The service never closes on a request that is on its way."""
    (upstream,) = re.findall(r"^upstream .*?^}", NGINX, re.MULTILINE | re.DOTALL)
    (seconds,) = re.findall(r"^ +keepalive_timeout (\d+)s;$", upstream, re.MULTILINE)
    connections = Connections(CallerLimits(connections=1, request_seconds=1))
    config = configured(create_app(Settings(_env_file=None)), connections)
    assert int(seconds) < KEEP_ALIVE_SECONDS == config.timeout_keep_alive


def test_a_proxy_waits_for_requests_no_longer_than_the_service() -> None:
    """Who sends slowly is cut off by whoever stands in front."""
    allowed = Settings(_env_file=None).request_timeout_seconds
    for name in ("client_header_timeout", "client_body_timeout"):
        (seconds,) = re.findall(rf"^ +{name} (\d+)s;$", NGINX, re.MULTILINE)
        assert int(seconds) <= allowed


@pytest.mark.parametrize(
    "place", ["= /v1/jobs/stream", "/media/", "/oauth/"], ids=lambda place: place
)
def test_a_proxy_logs_no_address_that_holds_a_secret(place: str) -> None:
    """A stream's token, a pull URL, a sign-in's code and state."""
    (block,) = re.findall(
        rf"^ +location {re.escape(place)} {{$(.*?)^ +}}$",
        NGINX,
        re.MULTILINE | re.DOTALL,
    )
    assert "access_log off;" in block


def test_every_program_has_room_and_a_bound() -> None:
    """Enough descriptors for all it may do, and not the whole machine's memory."""
    settings = Settings(_env_file=None)
    needed = share_out(
        0, in_flight=settings.max_in_flight, pool_size=settings.database_pool_size
    )
    for unit in UNITS:
        limits = dict(re.findall(r"^(\w+)=(\d+)[MG]?$", unit.read_text(), re.MULTILINE))
        assert int(limits["LimitNOFILE"]) >= needed.reserved + MOST_CALLERS
        assert {"MemoryMax", "TasksMax"} <= set(limits)
    for _, pod in pods():
        for container in pod["containers"]:
            assert "memory" in container["resources"]["limits"]


def test_every_pod_is_closed_to_whom_it_does_not_serve() -> None:
    """One policy forbids everything, and others name what may pass."""
    policies = list(documents(KUBERNETES / "network.yaml"))
    closed, *opened = policies
    assert closed["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    names = {"api", "worker"}
    for policy in opened:
        selector = policy["spec"]["podSelector"]
        wanted = selector.get("matchLabels", {}).values()
        assert set(wanted) <= names
        for expression in selector.get("matchExpressions", ()):
            assert set(expression["values"]) <= names


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
def test_nginx_takes_the_file(tmp_path: Path) -> None:
    """No directive is misspelt, none stands where it may not."""
    there = re.sub(
        r"listen 443 ssl http2;", f"listen unix:{tmp_path}/nginx.sock;", NGINX
    )
    there = re.sub(r"^ +ssl_.*;$", "", there, flags=re.MULTILINE)
    whole = f"pid {tmp_path}/pid; events {{}} http {{ access_log off; {there} }}"
    (tmp_path / "nginx.conf").write_text(whole)
    tested = subprocess.run(
        ["nginx", "-t", "-q", "-e", tmp_path / "log", "-c", tmp_path / "nginx.conf"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (tested.returncode, tested.stderr) == (0, "")


def test_no_pod_has_more_rights_than_it_needs() -> None:
    """The namespace asks for the restricted standard: others are not let in."""
    for _, pod in pods():
        assert pod["securityContext"]["runAsNonRoot"]
        assert not pod["automountServiceAccountToken"]
        assert not pod["enableServiceLinks"]
        for container in pod["containers"]:
            rights = container["securityContext"]
            assert rights["readOnlyRootFilesystem"]
            assert not rights["allowPrivilegeEscalation"]
            assert rights["capabilities"] == {"drop": ["ALL"]}


def test_what_a_pod_reads_is_there() -> None:
    """Config maps, secrets, ports and files by the names that others gave them."""
    named = {
        (each["kind"], each["metadata"]["name"])
        for each in documents(*MANIFESTS)
        if "metadata" in each
    }
    for _, pod in pods():
        for container in pod["containers"]:
            ports = {port["name"] for port in container.get("ports", ())}
            for source in container["envFrom"]:
                ((kind, reference),) = source.items()
                kinds = {"configMapRef": "ConfigMap", "secretRef": "Secret"}
                assert (kinds[kind], reference["name"]) in named
            for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                if probe in container:
                    get = container[probe]["httpGet"]
                    assert get["port"] in ports
                    assert get["path"] in {"/healthz", "/readyz"}
    (put_together,) = documents(KUBERNETES / "kustomization.yaml")
    assert all((KUBERNETES / each).is_file() for each in put_together["resources"])


def test_vercel_calls_a_tick_that_has_time_to_end() -> None:
    """Its function lives longer than the tick's budget."""
    config = json.loads((DEPLOY / "vercel" / "vercel.json").read_text())
    ((file, function),) = config["functions"].items()
    assert (DEPLOY / "vercel" / file).is_file()
    budget = Settings(_env_file=None).tick_budget_seconds
    assert function["maxDuration"] > budget
    assert [each["path"] for each in config["crons"]] == ["/cron/tick"]


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd is not installed"
)
@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_systemd_takes_the_units(unit: Path, tmp_path: Path) -> None:
    """No line is misspelt, none is unknown."""
    there = unit.read_text().replace(
        "/opt/tiktok-scheduler/bin/tiktok-scheduler", "/bin/true"
    )
    (tmp_path / unit.name).write_text(there)
    verified = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / unit.name],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (verified.returncode, verified.stderr) == (0, "")
