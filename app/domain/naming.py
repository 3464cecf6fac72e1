"""What a caller may name things: projects, assets."""

from typing import Final

from app.domain.idempotency import SEPARATOR

MAX_NAME_LENGTH: Final = 200


def problem_with_name(name: str) -> str | None:
    """Say why a caller's own id cannot be taken, None if it can.

    Two different requests could share an idempotency key if a part of it held the
    separator; no database stores NUL or half of a surrogate pair, and no log wants the
    other control characters.
    """
    if not 1 <= len(name) <= MAX_NAME_LENGTH:
        return f"must have 1 to {MAX_NAME_LENGTH} characters"
    if SEPARATOR in name:
        return f"must not contain {SEPARATOR!r}"
    if any(_is_control(character) for character in name):
        return "must not contain control characters"
    return None


def _is_control(character: str) -> bool:
    return (
        character < " "
        or "\x7f" <= character <= "\x9f"
        or "\ud800" <= character <= "\udfff"
    )
