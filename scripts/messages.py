"""Write docs/messages.md: every text for people with its code, from the code itself.

python -m scripts.messages
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from app.api.docs import vocabulary
from app.api.problems import HTTP_CODES, STATUS
from app.domain import errors
from app.domain.codes import CLASS_WORDS, CODES, Code
from app.domain.jobs.history import HistoryKind
from app.service.jobs.history import ADOPTED, TEXTS
from app.service.jobs.notices import CAPPED, NOTICES

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "messages.md"

_HEAD: Final = """\
# Texts for people, and their codes

Programs and translations go by the code: it stays as it is. The text may become
clearer from one version to the next. *Written by `python -m scripts.messages`; a test
fails if it is out of date.*

"""
_NOTICES: Final = f"""\
## What a job says: `notice` and `noticeCode`

`{{what}}` is the text of the error, from the table below. `{{when}}` is “Continues
automatically in about 10 minutes.”, or for a limit of a day:
“{CAPPED}”
`{{said}}` is the state that TikTok reported last, such as
“It last said PROCESSING_DOWNLOAD.”
`{{spent}}` is such as “All 5 attempts are used up; retry to start again.”
A failed job whose code is not in this table has the code of its error.

"""
_ERRORS: Final = """\
## What went wrong: `lastError.code` and `lastError.userMessage`

While the service still works on the job, only what happened is shown, because nobody
has to do anything. TikTok may add codes at any time; the last four rows cover them.

"""
_AHEAD: Final = """\
## What would go wrong: `readiness.problems` and `POST /v1/jobs/validate`

"""
_HISTORY: Final = """\
## What happened: `GET /v1/jobs/{id}/history`

"""
_PROBLEMS: Final = """\
## What a request is answered: problems

`detail` may add more, such as the setting that is missing.

"""


def page() -> str:
    """Return the whole page."""
    return "\n".join(
        (
            _HEAD + _NOTICES + _table("code | text", _notices()),
            _ERRORS + _table("code | class | what happened | what to do", _errors()),
            _AHEAD + _table("code | text", sorted(vocabulary.found_ahead().items())),
            _HISTORY + _table("kind | text", _history()),
            _PROBLEMS + _table("code | status | detail", _problems()),
        )
    )


def _table(heads: str, rows: Iterable[tuple[str, ...]]) -> str:
    lines = (f"| `{code}` | {' | '.join(rest)} |\n" for code, *rest in rows)
    return f"| {heads} |\n|{'---|' * (heads.count('|') + 1)}\n{''.join(lines)}"


def _notices() -> Iterator[tuple[str, str]]:
    yield from NOTICES.items()


def _errors() -> Iterator[tuple[str, str, str, str]]:
    for code, known in CODES.items():
        if known.words is not None:
            yield code, _kind(known), *known.words
    for kind, words in CLASS_WORDS.items():
        yield "…", f"every other code of class {kind}", *words


def _kind(known: Code) -> str:
    """Return the class; that of our own codes depends on where they occur."""
    found = {str(each) for each in (known.answer, known.reason) if each is not None}
    return ", ".join(sorted(found)) or "ours"


def _history() -> Iterator[tuple[str, str]]:
    yield "accepted", "It was accepted."
    yield "claimed_late", "It was started about {minutes} minutes after its time."
    yield "attempt", "Attempt {number}: {what}"
    yield "posted", "Attempt {number}: TikTok published it."
    for kind in HistoryKind:
        yield str(kind), TEXTS[kind]
    for proof, text in ADOPTED.items():
        yield f"{HistoryKind.CONFIRMED}, adopted: {proof}", text


def _problems() -> Iterator[tuple[str, str, str]]:
    statuses = dict(_statuses())
    for code, text in sorted(vocabulary.problem_codes().items()):
        yield code, str(statuses[code]), text


def _statuses() -> Iterator[tuple[str, int]]:
    for status, (code, _) in HTTP_CODES.items():
        yield code, status
    for kind in vocabulary.kinds(errors.SchedulerError):
        parent = next(each for each in kind.__mro__ if each in STATUS)
        yield kind.code, int(STATUS[parent])
    for code, (status, _) in vocabulary.OF_ONE_ROUTE.items():
        yield code, status


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
