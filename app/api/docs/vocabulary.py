"""Fields that hold one of some words, each with its meaning, for the document.

Where TikTok, or a later version, may say another word, the list is open.
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
from app.service.operations.health import DatabaseState
from app.service.tiktok_events import Receipt
from app.service.words import WAITING

Meanings = Mapping[str, str]

OUTCOMES: Final[Meanings] = {
    "published": "TikTok said that it is published",
    "in_inbox": "TikTok said that the draft is in the inbox",
    "processing": "TikTok was still working on it when the attempt had to end",
    "rate_limited": "TikTok asked to slow down",
    "transient": "it failed, and the same again may work",
    "rejected": "TikTok will not take this post",
    "auth_lost": "TikTok does not accept our access any more",
    "unconfirmed": "nobody knows whether TikTok took the init",
    "abandoned": "the worker went away",
    "missed": "its last moment had passed before anything was sent",
}
DECISIONS: Final[Meanings] = {
    "posted": "it is over, and well",
    "processing": "the next attempt goes on at once",
    "retrying": "the next attempt has its time",
    **{f"failed:{reason}": f"it is over: {reason}" for reason in FailureReason},
}
_NOTICES: Final[Meanings] = {
    "held": "posting is on hold",
    **{f"waits_for_{what}": text for what, text in WAITING.items()},
    "goes_live_soon": "a cron trigger will run it within about a minute",
    "goes_live_now": "it goes live in a moment",
    "retrying": "an attempt failed, and the next one has its time",
    "draft_in_inbox": "the draft is in the TikTok inbox, to be finished there",
    "draft_published": "the draft was published in TikTok's app",
    "draft_discarded": "the draft was thrown away, or could not be kept",
    "in_review": "TikTok may review it before everybody sees it",
    "withdrawn": "TikTok does not show it any more",
    "unconfirmed": "nobody knows whether TikTok took it",
    "still_at_tiktok": "TikTok has it and never said that it was done",
    "lost_track": "TikTok has it and does not tell us any more what became of it",
    "attempts_used_up": "every attempt failed",
}
_CHECKED: Final[Meanings] = {
    "in_the_past": "the time is past: it would go out at once",
    "held": "posting is on hold",
    "comments_off": "the creator has comments off: TikTok decides",
    "duets_off": "the creator has duets off: TikTok decides",
    "stitches_off": "the creator has stitches off: TikTok decides",
    "required": "the field is missing",
    "unknown_field": "there is no such field",
    "invalid": "the field holds what it may not; the message says why",
}


def describe(schemas: dict[str, Any]) -> None:
    """Write the words of each such field into its schema."""
    for (model, name), (words, is_open) in _fields().items():
        field = schemas[model]["properties"][name]
        table = "".join(f"\n| `{word}` | {text} |" for word, text in words.items())
        before = field.get("description", "").strip()
        field["description"] = f"{before}\n\n| | |\n|---|---|{table}".strip()
        _list(field, list(words), is_open=is_open)


def _fields() -> Mapping[tuple[str, str], tuple[Meanings, bool]]:
    of_tiktok = {code: known.words.what for code, known in CODES.items() if known.words}
    blocking = {
        code: of_tiktok[code] for code in of_tiktok if CODES[code].blocks_posting
    }
    found_ahead = {**dict(_found_ahead()), **blocking}
    return {
        ("ErrorAnswer", "code"): (of_tiktok, True),
        ("AttemptAnswer", "errorCode"): (of_tiktok, True),
        ("AttemptAnswer", "outcome"): (OUTCOMES, False),
        ("AttemptAnswer", "decision"): (DECISIONS, False),
        ("JobAnswer", "noticeCode"): ({**_NOTICES, **of_tiktok}, True),
        ("ProblemAnswer", "code"): (found_ahead, True),
        ("FoundProblem", "code"): ({**_CHECKED, **found_ahead}, True),
        ("Problem", "code"): (_errors(), True),
    }


def _list(field: dict[str, Any], words: list[str], *, is_open: bool) -> None:
    kinds = field.pop("anyOf", [{"type": field.pop("type", "string")}])
    string = {"type": "string", "enum": words}
    rest = [each for each in kinds if each.get("type") != "string"]
    if not is_open and not rest:
        field.update(string)
        return
    field["anyOf"] = [string, *([{"type": "string"}] if is_open else []), *rest]


def _found_ahead() -> Iterator[tuple[str, str]]:
    modules: tuple[ModuleType, ...] = (readiness, readiness_account)
    for module in modules:
        for value in vars(module).values():
            if isinstance(value, ReadinessProblem):
                yield value.code, value.message


def _errors() -> Meanings:
    """Name every error of the service, by what it says."""
    found = dict(HTTP_CODES.values())
    found |= {kind.code: str(kind()) for kind in _kinds(SchedulerError)}
    return found | {
        "cron_disabled": "CRON_SECRET is not set.",
        Receipt.BAD_SIGNATURE: "TikTok did not sign this event.",
        Receipt.NOT_CONFIGURED: "TIKTOK_CLIENT_SECRET is not set.",
        DatabaseState.DATABASE_NOT_MIGRATED: "The database is not migrated.",
    }


def _kinds(kind: type[SchedulerError]) -> Iterator[type[SchedulerError]]:
    for each in kind.__subclasses__():
        yield each
        yield from _kinds(each)
