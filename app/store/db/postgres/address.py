"""Read a database URL and every parameter of it.

Each parameter is used or refused by name, never ignored. The names are libpq's:
https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct
from sqlalchemy import make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from app.domain.guarded import Guarded, Hidden
from app.store.db.postgres.tls import Tls, make_tls

Host = tuple[str, int]
"""A name, an address or a folder of sockets (it begins with a slash), and a port."""

CONNECT_SECONDS: Final = 5.0
APPLICATION_NAME: Final = "tiktok-scheduler"
_PORT: Final = 5432

_TLS: Final = ("sslmode", "sslrootcert", "sslcert", "sslkey")
_ELSEWHERE: Final = {"user", "password", "dbname", "host", "port"}
_KEEPALIVES: Final = (
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
)
_TAKEN: Final = frozenset(
    {
        *_TLS,
        *_ELSEWHERE,
        *_KEEPALIVES,
        "application_name",
        "connect_timeout",
        "fallback_application_name",
        "keepalives",
        "options",
        "prepared_statement_cache_size",
        "search_path",
        "target_session_attrs",
    }
)
_ALLOWED_VALUES: Final[Mapping[str, frozenset[str]]] = {
    # The service writes: a read-only session is of no use.
    "target_session_attrs": frozenset({"any", "read-write", "primary"}),
    # The driver supports neither, so a value that requires one is refused.
    "gssencmode": frozenset({"disable", "prefer"}),
    "channel_binding": frozenset({"disable", "prefer"}),
    "sslnegotiation": frozenset({"postgres"}),
    "keepalives": frozenset({"1"}),
}

_COMMA_LIST: Final = re.compile(
    r"^(?P<front>\w+(?:\+\w+)?://(?:[^@/?#]*@)?)"
    r"(?P<hosts>[^/?#@]*,[^/?#@]*)(?P<rest>[/?].*)?$"
)
_HOST: Final = re.compile(r"^(?P<name>\[[^\]]+\]|[^:]*)(?::(?P<port>\d+))?$")
_OPTION: Final = re.compile(r"(?:-c\s*|--)(?P<name>[\w.]+)=(?P<value>(?:\\.|\S)*)\s*")


class Keepalives(Struct, frozen=True):
    """How soon the system notices a dead peer, in seconds."""

    idle: int = 30
    interval: int = 5
    count: int = 3
    unanswered: int = 20  # for data that was sent and not acknowledged


class PostgresAddress(Guarded, frozen=True, kw_only=True):
    """The address of a Postgres, and the settings of its sessions."""

    hosts: tuple[Host, ...]
    user: str | None
    password: Hidden[str | None]
    database: str | None
    tls: Tls
    connect_seconds: float
    application_name: str
    settings: Mapping[str, str]  # of the session, by name
    writable: bool  # only a session that may write is suitable
    named_statements: bool
    keepalives: Keepalives


def normalise_url(url: str) -> URL:
    """Add the async driver to the usual spellings of a database URL.

    SQLAlchemy 2.1 uses psycopg for a bare ``postgresql://``. Raises
    sqlalchemy.exc.ArgumentError for an invalid URL, ValueError for another database or
    an unsupported parameter.
    """
    try:
        parsed = make_url(_with_hosts_apart(url))
    except ValueError:  # its text quotes the alleged port, which may be a secret
        raise ArgumentError("not a database URL") from None
    if parsed.drivername in {"postgres", "postgresql", "postgresql+asyncpg"}:
        understood = parsed.set(drivername="postgresql+asyncpg")
        _refuse_unknown(understood)
        return understood
    if parsed.drivername in {"sqlite", "sqlite+aiosqlite"}:
        if parsed.database in {None, "", ":memory:"}:
            raise ValueError("an SQLite database has to be a file")
        return parsed.set(drivername="sqlite+aiosqlite")
    raise ValueError("only SQLite and Postgres are supported")


def postgres_address(url: URL, *, schema: str | None = None) -> PostgresAddress:
    """Read a normalised URL; raises ValueError that names the parameter."""
    hosts = _hosts(url)
    settings = _settings(url)
    if schema is not None:
        settings["search_path"] = f'"{schema}"'
    attributes = _one(url, "target_session_attrs")
    return PostgresAddress(
        hosts=hosts,
        user=url.username or _one(url, "user"),
        password=url.password if url.password is not None else _one(url, "password"),
        database=url.database or _one(url, "dbname"),
        tls=make_tls(*(_one(url, name) for name in _TLS)),
        connect_seconds=_seconds(_one(url, "connect_timeout")),
        application_name=_application_name(url),
        settings=settings,
        # With several hosts, the writable one is meant, even if the URL does not say
        # so.
        writable=attributes != "any" and (attributes is not None or len(hosts) > 1),
        named_statements=_one(url, "prepared_statement_cache_size") != "0",
        keepalives=_keepalives(url),
    )


def _with_hosts_apart(url: str) -> str:
    """Convert libpq's comma list of hosts to SQLAlchemy's form, one ``host`` each."""
    found = _COMMA_LIST.match(url)
    if found is None:
        return url
    rest = found["rest"] or "/"
    hosts = "&".join(f"host={each}" for each in found["hosts"].split(","))
    joint = "&" if "?" in rest else "?"
    return f"{found['front']}{rest}{joint}{hosts}"


def _refuse_unknown(url: URL) -> None:
    for name in url.query:
        allowed = _ALLOWED_VALUES.get(name)
        if allowed is not None:
            value = _one(url, name)
            if value not in allowed:
                _refuse_value(url, name, value)
        elif name not in _TAKEN and name != "ssl":
            raise ValueError(f"the parameter {name!r} is not understood")


def _refuse_value(url: URL, name: str, value: str | None) -> None:
    """Refuse an unsupported value, and name the alternative."""
    if name == "channel_binding":
        # The server's certificate protects against the same.
        if value == "require" and _one(url, "sslmode") == "verify-full":
            return
        raise ValueError(
            "channel_binding=require cannot be kept;"
            " sslmode=verify-full protects as well, and then it may stay"
        )
    words = ", ".join(sorted(_ALLOWED_VALUES[name]))
    raise ValueError(f"{name} can only be {words} here")


def _one(url: URL, name: str) -> str | None:
    value = url.query.get(name)
    if value is None and name == "sslmode":
        value = url.query.get("ssl")  # SQLAlchemy's name for it
    if value is None or isinstance(value, str):
        return value
    raise ValueError(f"{name} is given several times")


def _hosts(url: URL) -> tuple[Host, ...]:
    given = url.query.get("host", ())
    names = [given] if isinstance(given, str) else list(given)
    names = [each for name in names for each in name.split(",")]
    ports = [int(each) for each in _ports(url)]
    if url.host:
        return ((url.host, url.port or (ports or [_PORT])[0]),)
    if not names:
        return (("", (ports or [_PORT])[0]),)
    if len(ports) not in {0, 1, len(names)}:
        raise ValueError("port has another number of entries than host")
    spread = ports if len(ports) > 1 else (ports or [_PORT]) * len(names)
    return tuple(map(_host, names, spread))


def _ports(url: URL) -> Sequence[str]:
    given = url.query.get("port", ())
    listed = given.split(",") if isinstance(given, str) else list(given)
    if not all(each.isdecimal() for each in listed):
        raise ValueError("port is no number")
    return listed


def _host(text: str, port: int) -> Host:
    if text.startswith("/"):
        return text, port
    found = _HOST.match(text)
    if found is None or not found["name"]:
        raise ValueError("host is no list of hosts")
    return found["name"].strip("[]"), int(found["port"] or port)


def _settings(url: URL) -> dict[str, str]:
    """Parse ``options``, as ``-c name=value``, and add our ``search_path``."""
    options = _one(url, "options") or ""
    settings, place = dict[str, str](), 0
    while place < len(options.strip()):
        found = _OPTION.match(options.strip(), place)
        if found is None:
            raise ValueError("options can only be a list of -c name=value here")
        settings[found["name"]] = re.sub(r"\\(.)", r"\1", found["value"])
        place = found.end()
    if (path := _one(url, "search_path")) is not None:
        settings["search_path"] = path
    return settings


def _application_name(url: URL) -> str:
    fallback = _one(url, "fallback_application_name")
    return _one(url, "application_name") or fallback or APPLICATION_NAME


def _seconds(text: str | None) -> float:
    if text is None:
        return CONNECT_SECONDS
    if not text.isdecimal():
        raise ValueError("connect_timeout is no number of seconds")
    return float(text) or CONNECT_SECONDS


def _keepalives(url: URL) -> Keepalives:
    given = [_one(url, name) for name in _KEEPALIVES]
    if not all(each is None or each.isdecimal() for each in given):
        raise ValueError("keepalives and tcp_user_timeout are numbers")
    plain = Keepalives()
    idle, interval, count, milliseconds = (int(each or 0) for each in given)
    return Keepalives(
        idle=idle or plain.idle,
        interval=interval or plain.interval,
        count=count or plain.count,
        unanswered=-(-milliseconds // 1000) or plain.unanswered,
    )
