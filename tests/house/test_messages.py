"""The page of all texts for people says what the code says."""

from app.domain.jobs.history import HistoryKind
from app.service.jobs.history import TEXTS
from scripts.messages import PAGE, page


def test_the_page_of_texts_is_up_to_date() -> None:
    """After a change of a text or a code: `python -m scripts.messages`."""
    assert PAGE.read_text("utf-8") == page()


def test_every_kind_of_history_has_a_text() -> None:
    """What happened is told in words, whatever it was."""
    assert set(TEXTS) == set(HistoryKind)
