"""Cursors, tokens, keys and sealed texts that anybody may make up: refused, no more."""

import base64
import string
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.api_key import ApiKey
from app.domain.errors import InvalidInput, TokenUnreadable
from app.domain.webhook_endpoint import plain_secret, problem_with_secret
from app.machine.clock import SystemClock
from app.service.browser_tokens import BROWSER_PREFIX, BrowserTokens
from app.service.keys import KEY_PREFIX, is_mistyped
from app.service.pages import (
    decode_cursor,
    decode_job_cursor,
    decode_name_cursor,
    encode_cursor,
    encode_job_cursor,
    encode_name_cursor,
)
from app.store.db.vault import Vault
from tests.support.factories import NOW

VAULT = Vault([b"k" * 32])


class Stopped(SystemClock):
    """A clock that stands still: no token expires, however long the tests take."""

    now = staticmethod(lambda: NOW)


TOKENS = BrowserTokens(VAULT, Stopped())
ISSUER = ApiKey(id="key", name="frontend", project_id=None, created_at=NOW)
GOOD = TOKENS.issue(
    "proj_1",
    issuer=ISSUER,
    access=ISSUER.access,
    lives=timedelta(minutes=5),
).token

anything = st.text(st.characters(codec=None), max_size=200)
base64_text = st.binary(max_size=60).map(
    lambda data: base64.urlsafe_b64encode(data).decode().rstrip("=")
)
sealed = st.builds("{}.{}.{}".format, *[anything | base64_text] * 3)


@given(anything | base64_text)
@example("A" * 34)
@example("Aw" + "f" * 32)
def test_a_made_up_cursor_is_refused_or_a_place(text: str) -> None:
    """422 in the API, or a place in the list that reads back as the same text."""
    try:
        position, order = decode_job_cursor(text)
    except InvalidInput:
        pass
    else:
        assert encode_job_cursor(position, order) == text
    for read, write in (
        (decode_cursor, encode_cursor),
        (decode_name_cursor, encode_name_cursor),
    ):
        try:
            assert write(read(text)) == text
        except InvalidInput:
            continue


@given(st.binary(min_size=24, max_size=24), st.integers(0, 3))
def test_a_cursor_with_any_time_is_a_place_or_refused(data: bytes, kind: int) -> None:
    """Before the calendar and behind it is no time."""
    text = base64.urlsafe_b64encode(bytes([kind]) + data).decode().rstrip("=")
    try:
        position, _ = decode_job_cursor(text)
    except InvalidInput:
        return
    if position.scheduled_for is not None:
        assert datetime.min.replace(tzinfo=UTC) <= position.scheduled_for


@given(anything | sealed, st.booleans())
def test_a_made_up_browser_token_is_none(text: str, in_url: bool) -> None:
    """Whatever stands behind the prefix."""
    assert TOKENS.read(text, in_url=in_url) is None
    assert TOKENS.read(BROWSER_PREFIX + text, in_url=in_url) is None


@given(st.integers(len(BROWSER_PREFIX), len(GOOD) - 1), st.characters(codec=None))
def test_a_browser_token_with_a_wrong_character_is_none(at: int, other: str) -> None:
    """Each of them counts."""
    assert TOKENS.read(GOOD) is not None
    text = GOOD[:at] + other + GOOD[at + 1 :]
    if text != GOOD:
        assert TOKENS.read(text) is None


def test_every_other_last_character_of_a_browser_token_is_wrong() -> None:
    """Base64 leaves bits of it unused, so that several would mean the same."""
    letters = string.ascii_letters + string.digits + "-_+/="
    others = [GOOD[:-1] + letter for letter in letters if letter != GOOD[-1]]
    assert [other for other in others if TOKENS.read(other) is not None] == []


@given(anything | sealed)
def test_what_is_no_ciphertext_is_unreadable(text: str) -> None:
    """Whatever a column holds: one error, and never another."""
    with pytest.raises(TokenUnreadable):
        VAULT.decrypt(text, bound_to="a")


@given(anything)
def test_no_text_breaks_the_checksum_of_keys(text: str) -> None:
    """It is looked at before the database is asked."""
    if text.isascii():  # as authenticate sees to
        is_mistyped(KEY_PREFIX + text)


@given(anything | base64_text.map("whsec_{}".format))
def test_a_webhook_secret_is_refused_or_can_sign(text: str) -> None:
    """What is not refused has the bytes that a signature needs."""
    if problem_with_secret(text) is None:
        assert len(plain_secret(text)) >= 16
