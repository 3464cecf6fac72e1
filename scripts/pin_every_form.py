"""Pin each name of a lock file in every form in which it may be asked for.

    python scripts/pin_every_form.py requirements/dev.txt

pip before 23.3 takes `coverage`, `coverage[toml]` and `coverage[a,b]` for different
things. If one of them is asked for and only another is pinned, it takes the newest that
is published, and then refuses it, as it has no hash. uv writes one form alone.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PIN: Final = re.compile(r"^(?P<name>[^\s\[=]+)\[(?P<extras>[^]]+)\](?P<rest>==.*)$")


def every_form(lock: str) -> str:
    """Return the lock file with each name pinned plainly, too, and with each extra."""
    pins: dict[str, str] = {}
    for block in re.split(r"^(?=\S)", lock, flags=re.MULTILINE):
        head, newline, body = block.partition("\n")
        for form in _forms(head):
            pins.setdefault(form, f"{newline}{body}")
    return "".join(head + body for head, body in pins.items())


def _forms(head: str) -> Iterator[str]:
    match = PIN.match(head)
    if match is None:
        yield head
        return
    for extras in ("", *match["extras"].split(","), match["extras"]):
        yield match["name"] + (f"[{extras}]" if extras else "") + match["rest"]


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(every_form(path.read_text()))
