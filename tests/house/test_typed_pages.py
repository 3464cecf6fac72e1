"""Whatever the pages tell people to type is typed by tests/docs, or says why not."""

from tests.docs.pages import PLAN, blocks_of, pages


def test_every_block_is_run_or_says_why_not() -> None:
    """A new page, or a new block, needs its line in the plan."""
    assert set(PLAN) == set(pages())
    for page, plan in PLAN.items():
        blocks = blocks_of(page)
        assert len(blocks) == len(plan), page
        for block, how in zip(blocks, plan, strict=True):
            assert block.text.startswith(how.begins), f"{page}:{block.line}"
