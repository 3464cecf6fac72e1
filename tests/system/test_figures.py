"""The figures of what was reported, which a command puts on the crash matrix's page."""

from pathlib import Path

import pytest

from chaos import figures, report
from chaos.mishaps import cut_after_insert
from chaos.site import new_site
from tests.system.programs import SCRIPT


async def test_a_post_now_whose_answer_is_cut_off_is_stored_and_told_once() -> None:
    """The connection ends between the commit and its answer: the key finds the row."""
    async with new_site(SCRIPT, None) as site:
        found = await cut_after_insert(site)
    told = "answered 201, 1 stored; 1 posts after what the caller was told to do"
    assert found == told


def test_a_figure_that_is_measured_again_leaves_the_others_on_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row is in its place, whichever was measured last."""
    page = tmp_path / "page.md"
    page.write_text(report.PAGE.read_text())
    monkeypatch.setattr(report, "PAGE", page)
    before = report.rows_of("figures")
    (last, _), (first, _) = figures.SCENARIOS[-1], figures.SCENARIOS[0]
    fresh = {name: f"| {name} | many | none |" for name in (last, first)}
    report.write_part("figures", figures.table({**before, **fresh}))
    after = report.rows_of("figures")
    assert after == {**before, **fresh}
    assert [*after] == [name for name, _ in figures.SCENARIOS if name in after]
