"""Text from outside is made safe before it goes anywhere."""

from hypothesis import given
from hypothesis import strategies as st

from app.tiktok.text import clean, redacted, well_formed

ANY_TEXT = st.text(st.characters(codec=None))


def test_clean_is_one_printable_line() -> None:
    """Control characters cannot forge a line or steer a terminal."""
    dirty = "a\r\nb\x1b[31mc\x00d\u2028e\ud800f\x85g"
    assert clean(dirty, limit=100) == "a b [31mc d e f g"


def test_clean_cuts() -> None:
    """No more than the limit is kept."""
    assert clean("x" * 1000, limit=500) == "x" * 500


@given(ANY_TEXT, st.integers(1, 50))
def test_clean_is_always_storable(text: str, limit: int) -> None:
    """A cleaned text can be encoded, is short, and stays the same if cleaned twice."""
    cleaned = clean(text, limit=limit)
    assert len(cleaned.encode().decode()) <= limit
    assert "\0" not in cleaned
    assert clean(cleaned, limit=limit).strip() == cleaned.strip()


@given(ANY_TEXT)
def test_well_formed_is_always_storable(text: str) -> None:
    """An unpaired surrogate or a NUL never reaches an encoder or a database."""
    assert "\0" not in well_formed(text).encode().decode()


def test_well_formed_leaves_sound_text() -> None:
    """Emoji, line breaks and byte order marks are the person's own."""
    sound = "\ufeffüñí \U0001f600\r\n\ttext"
    assert well_formed(sound) == sound


def test_well_formed_replaces_one_for_one() -> None:
    """Characters that cannot be sent are replaced; the others stay."""
    assert well_formed("a\ud800b\udc00c\0d") == "a\ufffdb\ufffdc\ufffdd"


def test_redacted() -> None:
    """Every quote of a secret is struck out; a text too short to be one is not."""
    text = redacted("act.12345 and act.12345 are not a", ("act.12345", "a", ""))
    assert text == "[redacted] and [redacted] are not a"


def test_an_upload_urls_token_is_redacted_without_being_known() -> None:
    """TikTok's messages may quote a URL that another call answered with."""
    text = redacted('no "https://u.example/?upload_id=7&upload_token=abc&x=1"', ())
    assert text == 'no "https://u.example/?upload_id=7&upload_token=[redacted]&x=1"'
