"""How Postgres keeps tables that are written often; migration 0009 says why."""

from typing import Final

QUEUE: Final = {
    "autovacuum_vacuum_scale_factor": "0.01",
    "autovacuum_vacuum_threshold": "1000",
    "autovacuum_analyze_scale_factor": "0.01",
}
"""A queue's dead rows lie where each claim begins: they go soon."""

ROOMY: Final = {"fillfactor": "50"}
"""Rows that are overwritten find room on their page."""
