"""Error codes as labels: TikTok may add codes, but a label's values must be few."""

from typing import Final

from app.domain.codes import CODES

OTHER: Final = "other"


def bounded(code: str | None) -> str:
    """Return a code that can be a label: itself if known, else ``other``."""
    return code if code in CODES and code is not None else OTHER
