"""What became of log lines."""

import logging
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector, CollectorRegistry

from app.machine.log_writer import dropped_lines


class LogMetrics(Collector):
    """Tells of lines that nobody read in time."""

    def __init__(self, registry: CollectorRegistry) -> None:
        registry.register(self)

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Count them as they stand."""
        yield CounterMetricFamily(
            "scheduler_log_lines_dropped",
            "Log lines dropped because nobody read them in time",
            value=dropped_lines(logging.getLogger().handlers),
        )
