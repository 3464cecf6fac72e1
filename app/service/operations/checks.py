"""Check the database and the limits that the service depends on.

Each check gives a finding: what was checked, whether it is good, and what to do.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from app.domain.errors import StoreUnavailable
from app.machine.descriptors import hard_limit, share_out
from app.store.db.engine import Database
from app.store.db.inspection import Inspection, Postgres, inspect_database
from app.store.db.migrate import newest_revision
from app.store.db.postgres.session import DURABLE

ENCODING: Final = "UTF8"
SPARE_CONNECTIONS: Final = 3
"""Connections to leave to people and their tools."""


class Finding(Struct, frozen=True, kw_only=True):
    """The result of one check; ``advice`` is empty if there is nothing to do."""

    name: str
    ok: bool
    text: str
    advice: str = ""


def finding(name: str, ok: bool, text: str, advice: str = "") -> Finding:
    """Return a finding, whose advice is only given if the check failed."""
    return Finding(name=name, ok=ok, text=text, advice="" if ok else advice)


async def before_migration(database: Database) -> list[Finding]:
    """Check a database before a migration; nothing is changed.

    Raises StoreUnavailable. A migration may begin if every finding is ok.
    """
    found = await inspect_database(database)
    return [*_to_build_on(database, found)]


async def database_checks(database: Database) -> list[Finding]:
    """Check a database that is in use, or is to be; an outage is a finding, too."""
    try:
        found = await inspect_database(database)
    except StoreUnavailable as error:
        return [_away(database, error)]
    findings = [*_to_build_on(database, found), _version_table(found)]
    if found.postgres is not None:
        findings += _in_use(found.postgres, pool_size=database.pool_size)
    return findings


def descriptors(*, in_flight: int, pool_size: int) -> Finding:
    """Check how many files and sockets a process may have open.

    `serve`, `worker` and `tick` raise their soft limit to the hard limit.
    """
    found = share_out(hard_limit(), in_flight=in_flight, pool_size=pool_size)
    text = (
        f"{found.limit}: {found.reserved} kept for posts, {found.callers} for callers"
    )
    short_by = found.short_by
    return finding(
        "descriptors",
        not short_by,
        f"{text}, which is {short_by} too few" if short_by else text,
        f"raise the hard limit (LimitNOFILE, ulimit -Hn) by {short_by} or lower"
        " MAX_IN_FLIGHT",
    )


def _away(database: Database, error: StoreUnavailable) -> Finding:
    return Finding(
        name="database",
        ok=False,
        text=database.trouble.cause or str(error),
        advice="correct DATABASE_URL, or start the server it names",
    )


def _to_build_on(database: Database, found: Inspection) -> Iterator[Finding]:
    if found.postgres is None:
        yield Finding(name="database", ok=True, text="SQLite")
        yield _disk(found)
    else:
        yield from _server(found.postgres)
        if not found.postgres.is_standby:
            yield _schema(database, found, found.postgres)
    yield _foreign_tables(found)


def _disk(found: Inspection) -> Finding:
    space = os.statvfs(found.folder or ".")
    free = space.f_bavail * space.f_frsize // 1_000_000
    advice = "make room where the database's file is"
    return finding("disk", free >= 100, f"{free} MB are free", advice)


def _server(found: Postgres) -> Iterator[Finding]:
    # With too old a server no session is opened.
    yield Finding(name="database", ok=True, text=f"Postgres {found.version}")
    yield finding(
        "encoding",
        found.encoding == ENCODING,
        f"the database's encoding is {found.encoding}",
        "make a database with ENCODING 'UTF8' TEMPLATE template0: titles may hold any"
        " character",
    )
    yield _writable(found)


def _writable(found: Postgres) -> Finding:
    if found.is_standby:
        text, advice = "it is a standby", "name the primary in DATABASE_URL"
    elif found.is_read_only:
        text = "it is read-only"
        advice = "lift default_transaction_read_only; hosts set it when a disk is full"
    else:
        return Finding(name="writing", ok=True, text="it can be written to")
    return Finding(name="writing", ok=False, text=text, advice=advice)


def _schema(database: Database, found: Inspection, postgres: Postgres) -> Finding:
    wanted = database.schema
    if postgres.schema is None:
        return finding(
            "schema",
            postgres.may_create_schemas and wanted is not None,
            f"there is no schema {wanted or 'in the search_path'} yet",
            "let an owner run: CREATE SCHEMA … AUTHORIZATION this user",
        )
    name, may = postgres.schema, postgres.may_create or _is_built(found)
    return finding(
        "schema",
        may,
        f"schema {name}" if may else f"this user may create nothing in schema {name}",
        f"GRANT CREATE ON SCHEMA {name} TO this user, or set DATABASE_SCHEMA to one of"
        " its own",
    )


def _is_built(found: Inspection) -> bool:
    return found.revision is not None and found.revision >= newest_revision()


def _foreign_tables(found: Inspection) -> Finding:
    names = ", ".join(found.foreign_tables)
    return finding(
        "tables",
        not names,
        f"tables of another program have our names: {names}"
        if names
        else "no other program's table has a name of ours",
        "use a separate database, or a schema of its own (DATABASE_SCHEMA)",
    )


def _version_table(found: Inspection) -> Finding:
    return finding(
        "revision",
        _is_built(found) and not found.is_former,
        f"revision {found.revision or 'none'}, {newest_revision()} is needed",
        "run tiktok-scheduler migrate",
    )


def _in_use(found: Postgres, *, pool_size: int) -> Sequence[Finding]:
    return (
        _connections(found, pool_size=pool_size),
        _durability(found),
        _failover(found),
        _pooler(found),
        _rights(found),
        _strangers(found),
    )


def _connections(found: Postgres, *, pool_size: int) -> Finding:
    room = found.most_connections - found.reserved_connections - SPARE_CONNECTIONS
    needed = pool_size + 1  # and the one that listens
    return finding(
        "connections",
        needed <= room,
        f"{found.used_connections} of {found.most_connections} are in use;"
        f" each of our processes takes up to {needed}",
        "raise max_connections or lower DATABASE_POOL_SIZE",
    )


def _durability(found: Postgres) -> Finding:
    return finding(
        "durability",
        found.durability in DURABLE,
        f"synchronous_commit is {found.durability}",
        "ALTER ROLE … SET synchronous_commit = on",
    )


def _failover(found: Postgres) -> Finding:
    hidden = "the host hides which server it is: a fail-over is not noticed; see"
    return Finding(
        name="fail-over",
        ok=True,
        text=f"{hidden} docs/deploy/high-availability.md"
        if found.is_hidden
        else "a fail-over to another server is noticed",
    )


def _pooler(found: Postgres) -> Finding:
    text = "a pooler is in between" if found.is_pooled else "no pooler is in between"
    more = ": statements have no names, workers look each second"
    return Finding(name="pooler", ok=True, text=text + more * found.is_pooled)


def _rights(found: Postgres) -> Finding:
    names = ", ".join(found.lacking)
    return finding(
        "rights",
        not names,
        f"this user may not use {names}" if names else "this user has its rights",
        "let this user act as the role that owns them, see docs/deploy/keys.md",
    )


def _strangers(found: Postgres) -> Finding:
    names = ", ".join(found.strangers)
    return finding(
        "strangers",
        not names,
        f"others may change our tables: {names}"
        if names
        else "nobody else may change our tables",
        "REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA"
        f" {found.schema} FROM them, and their ALTER DEFAULT PRIVILEGES",
    )
