"""Fields with a fixed set of words, each with its meaning, for the document.

If TikTok or a later version may add words, the list is open.
"""

from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, Final

from app.api.problems import HTTP_CODES
from app.domain.accounts import account_readiness as readiness_account
from app.domain.codes import CODES
from app.domain.errors import SchedulerError
from app.domain.jobs import readiness
from app.domain.jobs.job import FailureReason
from app.domain.jobs.readiness import ReadinessProblem
from app.domain.posts.media import MEDIA_TEXTS
from app.service.jobs.notices import NOTICES
from app.service.operations.health import DatabaseState
from app.service.tiktok_events import Receipt

Meanings = Mapping[str, str]

OUTCOMES: Final[Meanings] = {
    "published": "TikTok published it",
    "in_inbox": "TikTok put the draft into the inbox",
    "processing": "TikTok was still working on it when the attempt had to end",
    "rate_limited": "TikTok asked to slow down",
    "transient": "it failed in a way that may pass",
    "rejected": "TikTok will not take this post",
    "auth_lost": "TikTok no longer accepts our access",
    "unconfirmed": "it is not known whether TikTok accepted the init",
    "abandoned": "the worker disappeared",
    "missed": "its deadline had passed before anything was sent",
}
DECISIONS: Final[Meanings] = {
    "posted": "it was posted",
    "processing": "the next attempt continues at once",
    "retrying": "the next attempt is scheduled",
    **{f"failed:{reason}": f"it ended: {reason}" for reason in FailureReason},
}
_VARYING: Final[Meanings] = {
    "retrying": "an attempt failed, and the next one is scheduled",
    "attempts_used_up": "every attempt failed",
}
_CHECKED: Final[Meanings] = {
    "in_the_past": "the time is past: it would go out at once",
    "held": "posting is on hold",
    **readiness_account.OFF,
    "required": "the field is missing",
    "unknown_field": "there is no such field",
    "invalid": "the field's value is not allowed; the message says why",
}

OF_ONE_ROUTE: Final[Mapping[str, tuple[int, str]]] = {
    "cron_disabled": (503, "CRON_SECRET is not set."),
    str(Receipt.BAD_SIGNATURE): (401, "TikTok did not sign this event."),
    str(Receipt.NOT_CONFIGURED): (503, "TIKTOK_CLIENT_SECRET is not set."),
    str(DatabaseState.DATABASE_NOT_MIGRATED): (503, "The database is not migrated."),
}
"""Codes of a single route, each with its status."""


def describe(schemas: dict[str, Any]) -> None:
    """Add the words of each such field to its schema."""
    for (model, name), (words, is_open) in _fields().items():
        field = schemas[model]["properties"][name]
        table = "".join(f"\n| `{word}` | {text} |" for word, text in words.items())
        before = field.get("description", "").strip()
        field["description"] = f"{before}\n\n| | |\n|---|---|{table}".strip()
        _list(field, list(words), is_open=is_open)


def _fields() -> Mapping[tuple[str, str], tuple[Meanings, bool]]:
    of_tiktok = {code: known.words.what for code, known in CODES.items() if known.words}
    ahead = found_ahead()
    return {
        ("ErrorAnswer", "code"): (of_tiktok, True),
        ("AttemptAnswer", "errorCode"): (of_tiktok, True),
        ("AttemptAnswer", "outcome"): (OUTCOMES, False),
        ("AttemptAnswer", "decision"): (DECISIONS, False),
        ("JobAnswer", "noticeCode"): ({**_notices(), **of_tiktok}, True),
        ("ProblemAnswer", "code"): (ahead, True),
        ("FoundProblem", "code"): ({**_CHECKED, **ahead}, True),
        ("Problem", "code"): (problem_codes(), True),
    }


def _notices() -> Meanings:
    """Return each notice's text, without the parts that differ between jobs."""
    empty = dict.fromkeys(("what", "when", "said", "spent"), "")
    found = {code: text.format(**empty) for code, text in NOTICES.items()}
    return {
        **{code: " ".join(text.split()) for code, text in found.items()},
        **_VARYING,
    }


def _list(field: dict[str, Any], words: list[str], *, is_open: bool) -> None:
    kinds = field.pop("anyOf", [{"type": field.pop("type", "string")}])
    string = {"type": "string", "enum": words}
    rest = [each for each in kinds if each.get("type") != "string"]
    if not is_open and not rest:
        field.update(string)
        return
    field["anyOf"] = [string, *([{"type": "string"}] if is_open else []), *rest]


def found_ahead() -> Meanings:
    """Return every problem that a readiness check can find."""
    blocking = {
        code: known.words.what
        for code, known in CODES.items()
        if known.blocks_posting and known.words
    }
    return {**MEDIA_TEXTS, **dict(_constants()), **blocking}


def _constants() -> Iterator[tuple[str, str]]:
    modules: tuple[ModuleType, ...] = (readiness, readiness_account)
    for module in modules:
        for value in vars(module).values():
            if isinstance(value, ReadinessProblem):
                yield value.code, value.message


def problem_codes() -> Meanings:
    """Return every error code of the API with its text."""
    found = dict(HTTP_CODES.values())
    found |= {kind.code: str(kind()) for kind in kinds(SchedulerError)}
    return found | {code: text for code, (_, text) in OF_ONE_ROUTE.items()}


def kinds(kind: type[SchedulerError]) -> Iterator[type[SchedulerError]]:
    """Yield all subclasses of an error."""
    for each in kind.__subclasses__():
        yield each
        yield from kinds(each)
