"""What a key's access allows, by method and path."""

import re
from typing import Final, assert_never

from app.domain.api_key import ApiKey, KeyAccess
from app.domain.errors import NotForBrowsers, ReadOnlyKey, SchedulerError

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_VALIDATE: Final = "/v1/jobs/validate"  # changes nothing
_CREATOR_INFO: Final = re.compile(r"/v1/projects/[^/]+/accounts/[^/]+/creator-info")
_COMPOSING: Final = (
    ("POST", re.compile(r"/v1/jobs(/batch|/validate|/[^/]+/(retry|cancel))?")),
    ("PATCH", re.compile(r"/v1/jobs/[^/]+")),
)


def refusal(key: ApiKey, method: str, path: str) -> SchedulerError | None:
    """Return why a key may not do something, None if it may."""
    reads = method in _SAFE
    match key.access:
        case KeyAccess.WRITE:
            return None
        case KeyAccess.READ if key.for_browser:
            # It costs a call to TikTok, of which there are few.
            asks_tiktok = _CREATOR_INFO.fullmatch(path) is not None
            return None if reads and not asks_tiktok else ReadOnlyKey()
        case KeyAccess.READ:
            return None if reads or path == _VALIDATE else ReadOnlyKey()
        case KeyAccess.COMPOSE:
            return None if reads or _composes(method, path) else NotForBrowsers()
        case _:
            assert_never(key.access)


def _composes(method: str, path: str) -> bool:
    return any(
        method == allowed and pattern.fullmatch(path) is not None
        for allowed, pattern in _COMPOSING
    )
