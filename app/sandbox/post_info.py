"""What the inits have in common: captions, audiences, flags, and foreign URLs."""

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from app.sandbox.accounts import PRIVACY_LEVELS, Account
from app.sandbox.answers import Answer, failure
from app.sandbox.state import Sandbox

TITLE_UNITS = 2200
"""The longest caption of a video, in UTF-16 code units."""


def part_of(body: Mapping[str, object], name: str) -> Mapping[str, object]:
    """Read an object within the body; an empty one if it is none."""
    part = body.get(name)
    return part if isinstance(part, dict) else {}


def problem_of_text(info: Mapping[str, object], name: str, units: int) -> Answer | None:
    """Refuse what is no text, or is too long in UTF-16 code units."""
    text = info.get(name, "")
    if isinstance(text, str) and _utf16_units(text) <= units:
        return None
    return failure("invalid_params", f"{name} is no text of {units} UTF-16 units.")


def problem_of_flags(info: Mapping[str, object], flags: Iterable[str]) -> Answer | None:
    """Refuse flags that are no booleans."""
    for flag in flags:
        if not isinstance(info.get(flag, False), bool):
            return failure("invalid_params", f"{flag} is no boolean.")
    return None


def problem_of_audience(info: Mapping[str, object], account: Account) -> Answer | None:
    """Refuse a privacy level that is unknown, or not one of this creator's."""
    level = info.get("privacy_level")
    if level not in PRIVACY_LEVELS:
        return failure("invalid_params", "privacy_level is missing or unknown.")
    if level not in account.privacy_levels:
        return failure("privacy_level_option_mismatch")
    return None


def problem_of_urls(
    sandbox: Sandbox, urls: Iterable[object], name: str
) -> Answer | None:
    """Refuse what is no URL, or lies where the app has verified nothing.

    https://developers.tiktok.com/doc/content-posting-api-media-transfer-guide
    """
    for url in urls:
        if not isinstance(url, str) or not url.startswith(("https://", "http://")):
            return failure("invalid_params", f"{name} is no URL.")
        if not _verified(url, sandbox.settings.verified_urls):
            return failure("url_ownership_unverified")
    return None


def _verified(url: str, verified: Iterable[str] | None) -> bool:
    if verified is None:
        return True
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return any(
        url.startswith(owned)
        if "://" in owned
        else host == owned or host.endswith(f".{owned}")
        for owned in verified
    )


def _utf16_units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
