"""Text from outside, made safe to log, to store and to send on."""

import unicodedata
from collections.abc import Iterable
from typing import Final

_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
_SHORTEST_SECRET: Final = 6  # less would strike out ordinary words
# Control characters forge log lines; unpaired surrogates break every UTF-8 encoder.
_UNSAFE: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})


def clean(text: str, *, limit: int) -> str:
    """Return one printable line of at most ``limit`` characters."""
    # Cut before looking at each character: an answer may be a megabyte.
    head = text[: 2 * limit]
    if head.isprintable():  # as nearly all is: the rest costs ten times as much
        return " ".join(head.split())[:limit] if " " in head else head[:limit]
    safe = "".join(
        " " if unicodedata.category(character) in _UNSAFE else character
        for character in head
    )
    return " ".join(safe.split())[:limit]


def well_formed(text: str) -> str:
    """Return the text with every unpaired surrogate and NUL replaced."""
    if text.isascii():  # as nearly all is, and has no surrogates
        return text.replace("\0", _REPLACEMENT)
    paired = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return paired.replace("\0", _REPLACEMENT)


def redacted(text: str, secrets: Iterable[str]) -> str:
    """Return the text with every secret that it quotes struck out."""
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "[redacted]")
    return text
