"""Database URLs, as people spell them."""

from ssl import CERT_REQUIRED, SSLContext
from unittest.mock import Mock

import certifi
import pytest
from sqlalchemy.exc import ArgumentError

from app.store.db.engine import Database
from app.store.db.postgres.address import (
    PostgresAddress,
    normalise_url,
    postgres_address,
)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_every_spelling_of_postgres_means_asyncpg(scheme: str) -> None:
    """A host's ready-made URL works as it is, its password included."""
    url = normalise_url(f"{scheme}://me:se%40same@db:5433/jobs")
    assert url.render_as_string(hide_password=False) == (
        "postgresql+asyncpg://me:se%40same@db:5433/jobs"
    )


def address(rest: str, front: str = "postgres://me@db/jobs") -> PostgresAddress:
    """Read a URL that ends so."""
    return postgres_address(normalise_url(f"{front}{rest}"))


def test_the_parameters_of_libpq_are_honoured() -> None:
    """Hosts hand out URLs for libpq; each parameter does what it does there."""
    found = address(
        "?connect_timeout=9&application_name=mine&keepalives_idle=60"
        "&tcp_user_timeout=15000&gssencmode=disable&channel_binding=prefer"
    )
    assert (found.connect_seconds, found.application_name) == (9, "mine")
    assert (found.keepalives.idle, found.keepalives.unanswered) == (60, 15)
    assert (found.user, found.database, found.hosts) == ("me", "jobs", (("db", 5432),))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me@one:5433,two,[::1]:5434/jobs",
        "postgresql+asyncpg://me@/jobs?host=one:5433&host=two&host=[::1]:5434",
        "postgresql://me@/jobs?host=one,two,::1&port=5433,5432,5434",
    ],
)
def test_several_hosts_are_a_list_however_it_is_spelt(url: str) -> None:
    """The comma list of libpq, and SQLAlchemy's repeated host."""
    if "port=" in url:  # an address without brackets has no port of its own
        url = url.replace("::1", "[::1]")
    found = address("", url)
    assert found.hosts == (("one", 5433), ("two", 5432), ("::1", 5434))
    assert found.writable  # the one that can be written to is meant


def test_a_password_with_every_sign_survives_a_list_of_hosts() -> None:
    """What is escaped in it means no host."""
    found = address("", "postgresql://me:a%2Cb%40c@one,two/jobs")
    assert (found.password, found.hosts[1]) == ("a,b@c", ("two", 5432))


def test_a_folder_of_sockets_is_a_host() -> None:
    """A folder of Unix sockets is a host."""
    assert address("", "postgresql://me@/jobs?host=/run/pg").hosts == (
        ("/run/pg", 5432),
    )


def test_options_and_search_path_become_settings_of_the_session() -> None:
    """Hosts put a schema there."""
    found = address("?options=-c%20search_path%3Dmine,public%20--lock_timeout=5s")
    assert found.settings == {"search_path": "mine,public", "lock_timeout": "5s"}
    assert address("?search_path=other").settings == {"search_path": "other"}


@pytest.mark.parametrize(
    ("given", "what_it_says"),
    [
        ("?channel_binding=require", "sslmode=verify-full"),
        ("?gssencmode=require", "gssencmode can only be"),
        ("?target_session_attrs=read-only", "target_session_attrs can only be"),
        ("?options=endpoint%3Dabc", "options can only be"),
        ("?connect_timeout=soon", "connect_timeout"),
        ("?sslmode=sometimes", "sslmode can only be"),
        ("?sslrootcert=/nowhere/root.crt", "sslrootcert needs"),
        ("?sslmode=require&sslrootcert=/nowhere/r.crt", "sslrootcert cannot be read"),
        ("?sslmode=verify-ca&sslrootcert=system", "sslmode=verify-ca needs"),
        ("?sslmode=require&sslcert=/nowhere/c.crt", "sslcert or sslkey cannot"),
        ("?sslmode=require&sslkey=/nowhere/k", "sslkey is of no use"),
        ("?keepalives_idle=long", "keepalives"),
        ("?port=5432,5433&host=a,b,c", "port has another number"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name(given: str, what_it_says: str) -> None:
    """Ignoring it would be a promise broken in silence."""
    with pytest.raises(ValueError, match=what_it_says) as refused:
        address(given, "postgres://me:sesame@/jobs")
    assert "nowhere" not in str(refused.value)
    assert "sesame" not in str(refused.value)


def test_channel_binding_may_stay_beside_a_verified_certificate() -> None:
    """Some hosts put it into every URL; what it guards against is guarded against."""
    found = address("?sslmode=verify-full&sslrootcert=system&channel_binding=require")
    assert isinstance(found.tls, SSLContext)
    assert found.tls.check_hostname
    assert found.tls.verify_mode is CERT_REQUIRED


def test_verify_full_needs_no_file_in_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container has neither: the system's certificates are asked."""
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", certifi.where())  # the system's certificates
    monkeypatch.setattr("pathlib.Path.home", Mock(side_effect=RuntimeError))
    tls = address("?sslmode=verify-full").tls
    assert isinstance(tls, SSLContext)
    assert (tls.check_hostname, tls.verify_mode) == (True, CERT_REQUIRED)
    assert tls.get_ca_certs()


def test_a_parameter_that_nobody_understands_is_named() -> None:
    """One line at the start, not a traceback at the first connection."""
    with pytest.raises(ValueError, match="'krbsrvname' is not understood"):
        normalise_url("postgres://me@db/jobs?krbsrvname=x")


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+aiosqlite"])
def test_every_spelling_of_sqlite_means_aiosqlite(scheme: str) -> None:
    """The file is what was named."""
    url = normalise_url(f"{scheme}:///./scheduler.db")
    assert str(url) == "sqlite+aiosqlite:///./scheduler.db"


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_refused(url: str) -> None:
    """Each connection would have another one."""
    with pytest.raises(ValueError, match="has to be a file"):
        normalise_url(url)


def test_another_database_is_refused() -> None:
    """What is promised holds on SQLite and Postgres alone."""
    with pytest.raises(ValueError, match="only SQLite and Postgres"):
        normalise_url("mysql://me:sesame@db/jobs")


def test_what_is_no_url_is_refused() -> None:
    """What is no URL is refused with an error that a start can report."""
    with pytest.raises(ArgumentError):
        normalise_url("scheduler.db")


async def test_a_password_is_in_no_text() -> None:
    """Whatever is printed of a database, its password is not."""
    database = Database("postgresql://me:sesame@127.0.0.1/jobs")
    shown = [repr(database), repr(vars(database)), str(database.url)]
    await database.close()
    assert "sesame" not in "".join(shown)
