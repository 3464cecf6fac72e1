"""Read settings from variables, a ``.env``, and files that hold secrets.

An unreadable source is refused in one line; nothing is guessed.
"""

import os
from collections.abc import Collection, Iterator
from io import StringIO
from pathlib import Path
from typing import Final

from dotenv.parser import parse_stream

FILE: Final = "_file"
"""The suffix of a variable whose value is the path of a file with a secret."""

_LIKENESS: Final = 0.85
_BOMS: Final = {
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
    b"\xef\xbb\xbf": "utf-8-sig",
}


class EnvironmentUnreadable(Exception):
    """A variable or a file cannot be read; the text names it and holds no value."""


def read_environment(
    names: Collection[str],
    *,
    secrets: Collection[str],
    env_file: Path | None,
) -> dict[str, str]:
    """Read these settings by their lower-case names, trimmed.

    A variable overrides the file; an empty one counts as unset. Raises
    EnvironmentUnreadable.
    """
    wanted = {*names, *(f"{name}{FILE}" for name in secrets)}
    found = dict(_file_values(env_file, wanted)) if env_file is not None else {}
    given = {
        name.lower(): value.strip()
        for name, value in os.environ.items()
        # A secret of only spaces is a mistake, which the settings refuse.
        if name.lower() in wanted
        and (value if name.lower() in secrets else value.strip())
    }
    for name in given:  # the .env may have it with or without _FILE
        found.pop(_other(name), None)
    found |= given
    both = [name for name in secrets if name in found and f"{name}{FILE}" in found]
    if both:
        name = both[0].upper()
        raise EnvironmentUnreadable(f"{name}: set twice, by {name}_FILE too")
    return {
        name.removesuffix(FILE) if _is_file(name, secrets) else name: (
            _secret_in(name, value) if _is_file(name, secrets) else value
        )
        for name, value in found.items()
    }


def misspelt(
    names: Collection[str], *, env_file: Path | None
) -> Iterator[tuple[str, str]]:
    """Yield each variable that looks like a setting and is none, and what was meant.

    Only one that begins with a setting's first word: a machine has variables of its
    own. Raises EnvironmentUnreadable.
    """
    known = {*names, *(f"{name}{FILE}" for name in names)}
    first_words = {name.partition("_")[0] for name in names}
    written = {name.lower() for name in os.environ}
    if env_file is not None:
        written |= {name for name, _ in _bindings(env_file)}
    for name in sorted(written - known):
        if name.partition("_")[0] in first_words and (meant := _meant(name, names)):
            yield name.upper(), meant.upper()


def _meant(name: str, names: Collection[str]) -> str | None:
    """Return the setting that a name most likely stands for."""
    # Imported here, so that no start waits for it.
    from difflib import get_close_matches

    close = get_close_matches(name, names, n=1, cutoff=_LIKENESS)
    if close:
        return close[0]
    longer = [each for each in names if each.startswith(f"{name}_")]
    return longer[0] if "_" in name and len(longer) == 1 else None


def _is_file(name: str, secrets: Collection[str]) -> bool:
    return name.removesuffix(FILE) in secrets and name.endswith(FILE)


def _other(name: str) -> str:
    return name.removesuffix(FILE) if name.endswith(FILE) else f"{name}{FILE}"


def _secret_in(name: str, path: str) -> str:
    """Read a secret from its file, as container platforms mount them."""
    try:
        text = _decoded(Path(path).read_bytes()).strip()
    except OSError as error:
        raise EnvironmentUnreadable(f"{name.upper()}: {error.strerror}") from None
    except UnicodeError:
        raise EnvironmentUnreadable(f"{name.upper()}: the file is no text") from None
    if not text:
        raise EnvironmentUnreadable(f"{name.upper()}: the file is empty")
    return text


def _file_values(path: Path, wanted: Collection[str]) -> Iterator[tuple[str, str]]:
    """Read a ``.env``, if there is one.

    Values are literal: ``${A_VARIABLE}`` may be part of a secret.
    """
    for name, value in _bindings(path):
        if name in wanted and value:
            yield name, value


def _bindings(path: Path) -> Iterator[tuple[str, str]]:
    for binding in parse_stream(StringIO(_text_of(path))):
        if binding.error:
            raise EnvironmentUnreadable(
                f"{path.name}: line {binding.original.line} is no NAME=value"
            )
        if binding.key:
            yield binding.key.lower(), (binding.value or "").strip()


def _text_of(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise EnvironmentUnreadable(f"{path.name}: {error.strerror}") from None
    try:
        return _decoded(content)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise EnvironmentUnreadable(
            f"{path.name}: line {line} is not UTF-8; save the file as UTF-8"
        ) from None


def _decoded(content: bytes) -> str:
    """Read UTF-8, or UTF-16 with a byte order mark, as PowerShell writes it."""
    text = content.decode(_BOMS.get(content[:2]) or _BOMS.get(content[:3]) or "utf-8")
    if "\0" in text:  # UTF-16 without a byte order mark
        raise UnicodeDecodeError("utf-8", content, content.index(0), len(content), "")
    return text
