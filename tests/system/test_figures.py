"""The figures of what was reported, which a command puts on the crash matrix's page."""

from chaos.mishaps import cut_after_insert
from chaos.site import new_site
from tests.system.programs import SCRIPT


async def test_a_post_now_whose_answer_is_cut_off_is_stored_and_told_once() -> None:
    """The connection ends between the commit and its answer: the key finds the row."""
    async with new_site(SCRIPT, None) as site:
        found = await cut_after_insert(site)
    told = "answered 201, 1 stored; 1 posts after what the caller was told to do"
    assert found == told
