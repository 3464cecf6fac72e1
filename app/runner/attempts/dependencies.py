"""What the attempts of a runner share: the parts of the process that they use."""

from collections.abc import Callable

from msgspec import Struct

from app.domain.posts.upload import ChunkSizes
from app.grants.grants import Grants
from app.machine.clock import Clock, ClockJumps, ClockWatch
from app.metrics.tiktok import UploadMetrics
from app.outbound.client import Outbound
from app.outbound.media.at_once import AtOnce
from app.pacing.creators import CreatorCache
from app.pacing.pacer import Pacer
from app.runner.attempts.ways.gateway import MediaGateway
from app.runner.failover import Failover
from app.store.jobs.claims import ClaimStore
from app.store.jobs.recovery.spool import Spool
from app.store.jobs.uploads import UploadStore
from app.tiktok.client import TikTok


class PushParts(Struct, frozen=True, kw_only=True):
    """The parts that all uploads of a process share."""

    uploads: UploadStore
    measure: AtOnce
    outbound: Outbound
    sizes: ChunkSizes
    hosts: tuple[str, ...]
    allow_http: bool
    silence: float  # seconds an upload host may neither read nor answer
    monotonic: Callable[[], float]
    watch: UploadMetrics


class Dependencies(Struct, frozen=True, kw_only=True):
    """What every attempt of a runner shares."""

    claims: ClaimStore
    tiktok: TikTok
    grants: Grants
    clock: Clock
    creators: CreatorCache
    pacer: Pacer
    http_timeout: float  # seconds a call to TikTok may take
    measure: AtOnce
    push: PushParts
    failover: Failover
    spool: Spool  # keeps publish_ids that the database cannot take
    media: MediaGateway | None = None  # None: TikTok pulls from the asset's own URL
    database_clock: ClockWatch | None = None  # None: our clock is trusted
    tiktok_clock: ClockWatch | None = None
    clock_jumps: ClockJumps | None = None  # None: our clock is trusted
