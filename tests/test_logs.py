"""Log lines: one form for ours and the libraries', and no secret in either."""

import json
import logging
import sys
import warnings
from collections.abc import Iterator

import pytest
import structlog

from app.logs import configure_logging, tidy
from tests.support.logs import restored

SECRETS = [
    ("Authorization: Bearer abc.def-ghi", "abc.def-ghi"),
    ("authorization: bearer  opaque", "opaque"),
    ("token act.example12345Example12345 refused", "act.example12345Example12345"),
    ("rft.example12345Example!4321.va", "rft.example12345Example!4321.va"),
    ("key tts_dGhpcyBpcyBhIHNlY3JldA given", "tts_dGhpcyBpcyBhIHNlY3JldA"),
    ("token ttb_v1.3b03cfea.UoZ_LJTmLfdOLv given", "UoZ_LJTmLfdOLv"),
    ("GET /v1/jobs/stream?projectId=p&token=ttb", "ttb"),
    (
        "secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ),
    ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    ("client_secret=hush&grant_type=x", "hush"),
    ('{"access_token": "opaque-token"}', "opaque-token"),
    ("{'refresh_token': 'opaque-token'}", "opaque-token"),
    ("GET /oauth/tiktok/callback?code=c0de&state=st4te", "c0de"),
    ("GET /oauth/tiktok/callback?code=c0de&state=st4te", "st4te"),
    ("code_verifier=verify-me", "verify-me"),
    ("postgresql://scheduler:hunter2@db/scheduler", "hunter2"),
    ("postgresql+asyncpg://u:p%40ss@db:5432/x", "p%40ss"),
    ("upload_token=abc", "abc"),
    ("/media/kX3_linktoken/v.mp4", "kX3_linktoken"),
]


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    """Put logging back after the test."""
    with restored():
        yield


@pytest.mark.parametrize(("text", "secret"), SECRETS)
@pytest.mark.parametrize("log_format", ["console", "json"])
def test_no_secret_reaches_a_line(
    capsys: pytest.CaptureFixture[str], text: str, secret: str, log_format: str
) -> None:
    """In the event, a value, a nested value, a library's line or a traceback."""
    configure_logging(log_format, "debug")
    ours = structlog.get_logger("app.test")
    ours.info(text)
    ours.info(
        "event",
        value=text,
        deep={"a": [text, {"b": (text,)}]},
        raw=text.encode(),
        cause=ValueError(text),
    )
    logging.getLogger("library").warning("said %s", text)
    try:
        raise ValueError(text)
    except ValueError:
        ours.exception("broken")

    written = capsys.readouterr().err
    assert written.count("[redacted]") >= 7
    assert secret not in written


@pytest.mark.parametrize(
    "text",
    [
        "a worker went away; its job is taken over",
        "https://cdn.example.com/v.mp4?x=1@2",
        "the state of job 01a2",
        "GET /v1/jobs 200",
        "action.type was fact.checked",
        "Fault(code='timeout', state='processing')",
    ],
)
def test_other_words_stay(text: str) -> None:
    """Redaction does not eat what an operator needs to read."""
    event = tidy(None, "info", {"event": text, "status": 200, "ok": True})
    assert event == {"event": text, "status": 200, "ok": True}


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Machines read each line by itself, tracebacks included."""
    configure_logging("json", "info")
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        structlog.get_logger("app.test").info("ours", number=1)
        logging.getLogger("library").warning("theirs %d", 2)
        try:
            raise ValueError("two\nlines")
        except ValueError:
            structlog.get_logger("app.test").exception("broken")

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["ours", "theirs 2", "broken"]
    assert {line["request_id"] for line in lines} == {"r-1"}
    assert [line["level"] for line in lines] == ["info", "warning", "error"]
    assert "ValueError: two" in lines[2]["exception"]
    assert all(line["timestamp"].endswith("Z") for line in lines)


def test_a_traceback_shows_no_local_variables(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A variable of a broken function may be a secret of no known shape."""
    configure_logging("console", "info")
    password = "".join(["hun", "ter2"])
    try:
        raise ValueError(len(password))
    except ValueError:
        structlog.get_logger("app.test").exception("broken")
    written = capsys.readouterr().err
    assert "Traceback" in written
    assert password not in written


def test_what_ends_the_program_is_a_line_like_any_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Python's own traceback is no JSON, and knows nothing of secrets."""
    configure_logging("json", "info")
    try:
        raise ValueError("act.example12345Example12345")
    except ValueError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    (line,) = map(json.loads, capsys.readouterr().err.splitlines())
    assert (line["event"], line["level"]) == ("crashed", "critical")
    assert line["exception"].endswith("ValueError: [redacted]")


def test_warnings_are_lines_like_any_other(capsys: pytest.CaptureFixture[str]) -> None:
    """A library's warning must not break the form either."""
    configure_logging("json", "info")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("outdated", DeprecationWarning, stacklevel=1)
    (line,) = map(json.loads, capsys.readouterr().err.splitlines())
    assert (line["logger"], line["level"]) == ("py.warnings", "warning")
    assert "outdated" in line["event"]


def test_the_level_counts_for_all(capsys: pytest.CaptureFixture[str]) -> None:
    """Lines below the level are not written, whichever library logs them."""
    configure_logging("console", "warning")
    structlog.get_logger("app.test").info("quiet")
    logging.getLogger("library").info("quiet")
    structlog.get_logger("app.test").warning("loud")
    written = capsys.readouterr().err
    assert "quiet" not in written
    assert "loud" in written


def test_http_clients_do_not_tell_whom_they_call(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """At INFO httpx writes whole URLs, so it speaks from WARNING up."""
    configure_logging("console", "debug")
    for name in ("httpx", "httpcore.http11"):
        logging.getLogger(name).info("GET https://upload/?signature=s")
        logging.getLogger(name).debug("details")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "steering", ["\x1b[2J\x1b]0;owned\x07", "\r", "\x9b31m", "\u202e", "\x00", "\x7f"]
)
def test_no_text_steers_a_terminal(
    capsys: pytest.CaptureFixture[str], steering: str
) -> None:
    """A path, a header or a library's words may hold anything: it is shown escaped."""
    configure_logging("console", "info")
    text = f"before{steering}after"
    ours = structlog.get_logger("app.test")
    ours.info(text)
    ours.info("event", value=text, nested=[text], mapped={"a": text})
    logging.getLogger("library").warning("said %s", text)
    try:
        raise ValueError(text)
    except ValueError:
        ours.exception("broken")
    written = capsys.readouterr().err
    assert written.count("before") == written.count("after") == 6
    assert all(character in "\n\t" or character.isprintable() for character in written)


def test_a_line_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A caller's text cannot forge a second line."""
    configure_logging("console", "info")
    structlog.get_logger("app.test").info(
        "request", path="/x\n2026-01-01 [error] forged"
    )
    structlog.get_logger("app.test").info("one\ntwo")
    assert len(capsys.readouterr().err.splitlines()) == 2


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_long_values_are_cut(
    capsys: pytest.CaptureFixture[str], log_format: str
) -> None:
    """A stranger who sends 30,000 characters writes 2,000 of them to the log."""
    configure_logging(log_format, "info")
    structlog.get_logger("app.test").info(
        "e" * 30_000, path="p" * 30_000, many=["v" * 30_000], map={"k": "v" * 30_000}
    )
    written = capsys.readouterr().err
    assert len(written) < 9_000
    assert written.count("28000 characters more") == 2


def test_a_traceback_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Its lines stay lines."""
    configure_logging("console", "info")
    try:
        raise ValueError("x")
    except ValueError:
        structlog.get_logger("app.test").exception("broken")
    assert len(capsys.readouterr().err.splitlines()) > 3


def test_a_line_of_ours_is_one_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of the record would cost as much as deciding about a post."""
    configure_logging("json", "info")
    made, make = list[logging.LogRecord](), logging.getLogRecordFactory()

    def note(*parts: object, **more: object) -> logging.LogRecord:
        made.append(make(*parts, **more))
        return made[-1]

    monkeypatch.setattr(logging, "_logRecordFactory", note)
    structlog.get_logger("app.test").info("event", value=1)
    assert len(made) == 1
