"""Set up logging: our lines and the libraries' in one form, without secrets.

https://www.structlog.org/en/stable/standard-library.html
"""

import logging
import re
import sys
from types import TracebackType
from typing import Any, Final

import structlog
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.types import EventDict, Processor, WrappedLogger

from app.machine.log_writer import QueuedLines

log = structlog.get_logger(__name__)

REDACTED: Final = "[redacted]"

# Patterns of secrets.
_SECRETS: Final = re.compile(
    r"""(?P<before>
        \bBearer\s+                                            # any Authorization
      | \b(?:access_token|refresh_token|client_secret|code_verifier
           |upload_token)["']?\s*[=:]\s*["']?                  # forms, queries, JSON
      | [?&](?:code|state|token)=                              # OAuth's way back
      | /media/                                                # who knows it may pull
      | ://[^/\s:@]*:(?=[^/\s@]*@)                             # a URL's password
    )[^\s"'&,;@]+
    | \b(?:act|rft)\.[A-Za-z0-9!._*~-]{8,}                     # TikTok's tokens
    | \b(?:tts|ttb)_[A-Za-z0-9._-]{8,}                         # keys, browser tokens
    | \bwhsec_[A-Za-z0-9+/=]{8,}                               # receivers' secrets
    """,
    re.VERBOSE | re.IGNORECASE,
)
_HARMLESS: Final = re.compile(r"[0-9.]{,100}|[A-Za-z0-9-]{,100}")
_PLAIN: Final = re.compile(r"[A-Za-z0-9 _.~/-]*")
_OUR_OWN: Final = frozenset({"timestamp", "level", "logger"})
_LONGEST: Final = 2000
"""How many characters of a value a line shows, so that no stranger fills the log."""

_LONGEST_TRACE: Final = 32_000
_TRACES: Final = ("exception", "stack")
_UNSEEN: Final = re.compile(
    # Characters that control a terminal or reverse the order of characters.
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_UNSEEN_IN_TRACE: Final = re.compile(rf"(?![\n\t]){_UNSEEN.pattern}")
_QUIET: Final = ("httpx", "httpcore", "aiosqlite", "asyncio", "alembic")


def configure_logging(log_format: str, log_level: str, *, queued: bool = False) -> None:
    """Write every log line to standard error, as ``console`` text or ``json``.

    ``queued`` lets another thread write it: for programs that must not wait for whoever
    reads them.
    """
    level = logging.getLevelNamesMapping()[log_level.upper()]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler: logging.Handler = (
        QueuedLines(sys.stderr.fileno())
        if queued
        else logging.StreamHandler(sys.stderr)
    )
    handler.setFormatter(
        _Lines(foreign_pre_chain=_shared(), processors=_rendering(log_format))
    )
    _skip_what_no_line_shows()
    root = logging.getLogger()
    for former in root.handlers:
        if isinstance(former, QueuedLines):
            former.close()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # Warnings and crashes that Python writes to standard error in its own form.
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_crash
    # They log full URLs at INFO, and a query can hold a secret.
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


class _Lines(structlog.stdlib.ProcessorFormatter):
    """Renders lines; of our own without a second record, a fifth of a line's cost."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        method = getattr(record, "_name", None)
        if method is None or not isinstance(record.msg, dict):  # a library's
            return super().format(record)
        event: Any = record.msg.copy()  # other handlers get it, too
        for process in self.processors:
            if process is not self.remove_processors_meta:
                event = process(None, method, event)
        return str(event)


def _skip_what_no_line_shows() -> None:
    """Skip looking up caller, thread and process: a fifth of a line's cost.

    https://docs.python.org/3/howto/logging.html#optimization
    """
    logging._srcfile = None  # noqa: SLF001 - documented for this
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def _log_crash(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Log the exception that ends the program, in one line without secrets."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    log.critical("crashed", exc_info=(kind, error, trace))


def tidy(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Redact what looks like a secret, in nested values too, and cut long values."""
    for key, value in event.items():
        if key not in _OUR_OWN and not _is_harmless(value):
            event[key] = _shortened(_clean(value), trace=key in _TRACES)
    return event


def without_secrets(text: str) -> str:
    """Redact whatever looks like a secret in a text."""
    if _has_no_secret(text):
        return text
    return _SECRETS.sub(rf"\g<before>{REDACTED}", text)


def _shortened(value: object, *, trace: bool) -> object:
    """Cut a long value, and say by how much."""
    text = value if isinstance(value, str) else repr(value)
    most = _LONGEST_TRACE if trace else _LONGEST
    if len(text) <= most:
        return value
    return f"{text[:most]}… ({len(text) - most} characters more)"


def show_controls(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Escape control characters, so that no stranger's text controls a terminal.

    JSON escapes them anyway.
    """
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            unseen = _UNSEEN_IN_TRACE if key in _TRACES else _UNSEEN
            event[key] = unseen.sub(
                lambda found: found[0].encode("unicode_escape").decode("ascii"), value
            )
    return event


def _clean(value: object) -> object:
    match value:
        case str():
            return without_secrets(value)
        case bytes():
            return _clean(value.decode("utf-8", "replace"))
        case dict():
            return {key: _clean(each) for key, each in value.items()}
        case list() | tuple():
            return [_clean(each) for each in value]
        case None | bool() | int() | float():
            return value
        case _:
            return _clean(str(value))


def _is_harmless(value: object) -> bool:
    """Tell cheaply of most values that they are short and no secret."""
    if isinstance(value, str):
        return _HARMLESS.fullmatch(value) is not None
    return value is None or isinstance(value, int | float)


def _has_no_secret(text: str) -> bool:
    """Tell cheaply whether a text certainly matches none of the patterns.

    Each pattern needs a special character or one of these words.
    """
    if not _PLAIN.fullmatch(text):
        return False
    small = text.lower()
    return not (
        "bearer" in small
        or "act." in small
        or "rft." in small
        or "tts_" in small
        or "ttb_" in small
        or "whsec_" in small
        or "/media/" in small
    )


def _name_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add the trace's id to a line, if something is traced."""
    if (api := sys.modules.get("opentelemetry.trace")) is None:
        return event
    context = api.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = api.format_trace_id(context.trace_id)
        event["span_id"] = api.format_span_id(context.span_id)
    return event


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        _name_trace,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


def _rendering(log_format: str) -> list[Processor]:
    renderers: list[Processor] = [structlog.processors.JSONRenderer()]
    if log_format != "json":
        # Tracebacks without locals, which may hold secrets.
        console = ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=plain_traceback
        )
        renderers = [show_controls, console]
    return [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        tidy,
        *renderers,
    ]
