"""The demo on a terminal of 80 columns and 24 lines."""

import io

from rich.console import Console

from app.sandbox.demo.scenario import Life
from app.sandbox.demo.scenarios import KILLED, TOGETHER
from app.sandbox.demo.screen import EXPLAINED, closing, shown_on, watched

LINES, COLUMNS = 24, 80
SCENARIOS = (*TOGETHER, *KILLED)
STEPS = ["scheduled", "processing", "retrying", "uploaded 2.3 MB", "killed", "posted"]


def lives() -> list[Life]:
    """Make lives that have come a long way, and failed for the longest reason."""
    return [
        Life(
            scenario,
            job={"failureReason": "unconfirmed", "attempts": 1, "status": "failed"},
            trail=[*STEPS, "uploaded 2.3 MB"],
            inits=1,
        )
        for scenario in SCENARIOS
    ]


def console(height: int = LINES) -> Console:
    """Make a terminal without colours."""
    return Console(
        file=io.StringIO(),
        force_terminal=True,
        width=COLUMNS,
        height=height,
        color_system=None,
    )


def written(on: Console) -> str:
    """Return what the terminal got."""
    assert isinstance(on.file, io.StringIO)
    return on.file.getvalue()


def test_the_table_fits() -> None:
    """Each job has one line, whole, and none is below the last one."""
    screen = console()
    screen.print(watched(lives(), width=COLUMNS))
    lines = written(screen).splitlines()
    assert len(lines) < LINES
    for scenario in SCENARIOS:
        (line,) = (each for each in lines if each.lstrip().startswith(scenario.name))
        assert line.split()[-5:] == ["MB", "unconfirmed", "1", "1", "0"]
    assert "…" not in written(screen)
    assert EXPLAINED in written(screen)


def test_a_lower_terminal_gets_lines_that_scroll() -> None:
    """If a table would be cut off, each end is a line."""
    screen = console(height=len(SCENARIOS))
    with shown_on(screen, lives(), rows=len(SCENARIOS)) as show:
        show(lives())
    assert all(f"{scenario.name}: " in written(screen) for scenario in SCENARIOS)


def test_the_closing_table_loses_nothing() -> None:
    """The closing table may be longer than the screen; no cell is cut off."""
    screen = console()
    screen.print(closing(lives()))
    text = written(screen)
    assert "…" not in text
    assert text.count("unconfirmed") == len(SCENARIOS)
    for word in ("Attempts", "Inits", "Posts", "should", *STEPS[:3]):
        assert word in text


def test_an_uploads_progress_takes_the_place_of_the_progress_before() -> None:
    """One figure that grows, between the states."""
    (scenario,) = (each for each in TOGETHER if each.transfer == "push")
    life = Life(scenario)
    for status, count in (
        ("scheduled", None),
        ("processing", 0),
        ("processing", 2_500_000),
        ("processing", 7_500_000),
        ("posted", 10_000_000),
    ):
        life.note({"status": status, "uploadedBytes": count})
    assert life.trail == ["scheduled", "processing", "uploaded 7.5 MB", "posted"]
