"""What statements need of a database beside plain SQL."""

import re
from collections.abc import Iterable
from typing import Final

FEATURES: Final = {
    "`FOR UPDATE SKIP LOCKED`": r"\bFOR UPDATE\b.*\bSKIP LOCKED\b",
    "`FOR UPDATE`": r"\bFOR UPDATE\b(?!.*\bSKIP LOCKED\b)",
    "`RETURNING`": r"\bRETURNING\b",
    "`ON CONFLICT DO NOTHING`": r"\bON CONFLICT\b.*\bDO NOTHING\b",
    "`ON CONFLICT DO UPDATE`": r"\bON CONFLICT\b.*\bDO UPDATE\b",
    "writes within `WITH`": r"\bAS\s+\((?:INSERT|UPDATE|DELETE)\b",
    "`UPDATE … FROM`": r"\bUPDATE \w+ SET\b.*\bFROM unnest\(",
    "`= ANY (ARRAY(SELECT …))`": r"= ANY \(ARRAY\(",
    "`unnest` of several arrays": r"\bunnest\(.*,.*\) AS given",
    "`string_to_array`": r"\bstring_to_array\(",
    "`count(*) FILTER`": r"\bFILTER \(WHERE\b",
    "window functions": r"\bOVER \(",
    "`DISTINCT ON`": r"\bDISTINCT ON\b",
    "`LATERAL`": r"\bLATERAL\b",
    "`WITH RECURSIVE`": r"\bWITH RECURSIVE\b",
    "`jsonb`": r"\bjsonb\b",
    "rows compared": r"\(\w+\.\w+, \w+\.\w+\) [<>]=? \(",
    "partial indexes": r"\bCREATE (?:UNIQUE )?INDEX\b.*\bWHERE\b",
    "`CREATE INDEX CONCURRENTLY`": r"\bINDEX CONCURRENTLY\b",
    "advisory locks": r"\bpg_(?:try_)?advisory_",
    "`LISTEN`": r"^\s*LISTEN\b",
    "`pg_notify`": r"\bpg_notify\(",
    "`set_config`": r"\bset_config\(",
    "`jit`": r"'jit'",
    "`pg_control_system`": r"\bpg_control_system\(",
}
"""Features, and what tells that a statement uses one."""

_PATTERNS: Final = {
    name: re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for name, pattern in FEATURES.items()
}
_CALL: Final = re.compile(r"\b([a-z_]+)\s?\(")
_TEXTS: Final = re.compile(r"'[^']*'")


def features_of(statements: Iterable[str]) -> set[str]:
    """Name every feature that some of these use."""
    told = set(statements)
    return {
        name
        for name, pattern in _PATTERNS.items()
        if any(pattern.search(each) for each in told)
    }


def functions_of(statements: Iterable[str]) -> set[str]:
    """Name every word before a bracket: functions, and some tables and types."""
    return {
        name for each in statements for name in _CALL.findall(_TEXTS.sub("''", each))
    }
