"""The metrics of this process, and of the shared queue."""

from prometheus_client import generate_latest

from app.domain.errors import StoreUnavailable
from app.machine.clock import Clock
from app.metrics import Metrics
from app.store.jobs.backlog import BacklogStore


class MetricsService:
    """Renders metrics for Prometheus."""

    def __init__(
        self, *, metrics: Metrics, backlog: BacklogStore, clock: Clock
    ) -> None:
        self._metrics = metrics
        self._backlog = backlog
        self._clock = clock

    async def render(self) -> bytes:
        """Return all metrics; if the database is away, the queue's last figures."""
        now = self._clock.now()
        # /readyz reports the database; what this process counted is still true.
        try:
            self._metrics.queue.see(await self._backlog.look(now=now), now)
        except StoreUnavailable:
            self._metrics.queue.miss()
        return generate_latest(self._metrics.registry)
