"""Make text from outside safe to log, store and pass on."""

import re
import unicodedata
from collections.abc import Iterable
from typing import Final

_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"
_SHORTEST_SECRET: Final = 6  # a shorter one could be an ordinary word
_UPLOAD_TOKEN: Final = re.compile(r"(upload_token=)[^\s&\"'<>]+")
# Control characters can forge log lines; unpaired surrogates break UTF-8 encoders.
_UNSAFE: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})


def clean(text: str, *, limit: int) -> str:
    """Return one printable line of at most ``limit`` characters."""
    # Cut first: an answer may be a megabyte.
    head = text[: 2 * limit]
    if head.isprintable():  # nearly always; the rest takes ten times as long
        return " ".join(head.split())[:limit] if " " in head else head[:limit]
    safe = "".join(
        " " if unicodedata.category(character) in _UNSAFE else character
        for character in head
    )
    return " ".join(safe.split())[:limit]


def well_formed(text: str) -> str:
    """Return the text with every unpaired surrogate and NUL replaced."""
    if text.isascii():  # nearly always, and then without surrogates
        return text.replace("\0", _REPLACEMENT)
    paired = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return paired.replace("\0", _REPLACEMENT)


def redacted(text: str, secrets: Iterable[str]) -> str:
    """Return the text with every quoted secret and upload URL's token replaced."""
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "[redacted]")
    if "upload_token" in text:
        text = _UPLOAD_TOKEN.sub(r"\1[redacted]", text)
    return text
