"""Everything the simulated TikTok knows, in memory."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from random import Random

from app.sandbox.accounts import (
    ALL_SCOPES,
    DEFAULT_OPEN_ID,
    SECOND_OPEN_ID,
    Account,
    Accounts,
    Grant,
)
from app.sandbox.assets.visits import Visits
from app.sandbox.posts import Posts
from app.sandbox.quotas import QuotaBook
from app.sandbox.recording import KEPT, CallLog
from app.sandbox.script import Script
from app.sandbox.settings import SandboxSettings

Now = Callable[[], float]


def epoch_clock() -> Now:
    """Make a clock in epoch seconds that never steps back."""
    offset = time.time() - time.monotonic()
    return lambda: time.monotonic() + offset


@dataclass(frozen=True, slots=True)
class Delivery:
    """Hold one webhook that was sent, and what the receiver said."""

    at: float
    event: str
    open_id: str
    publish_id: str | None
    attempt: int
    http_status: int | None

    def to_json(self) -> dict[str, object]:
        """Give the delivery as the control route shows it."""
        return {
            "at": self.at,
            "event": self.event,
            "openId": self.open_id,
            "publishId": self.publish_id,
            "attempt": self.attempt,
            "httpStatus": self.http_status,
        }


@dataclass(slots=True)
class Sandbox:
    """Hold the world of one simulator; `now` gives epoch seconds."""

    started_with: SandboxSettings = field(default_factory=SandboxSettings)
    now: Now = field(default_factory=epoch_clock)
    settings: SandboxSettings = field(init=False)
    accounts: Accounts = field(init=False)
    posts: Posts = field(init=False)
    quotas: QuotaBook = field(init=False)
    calls: CallLog = field(init=False)
    script: Script = field(init=False)
    deliveries: deque[Delivery] = field(init=False)
    visits: Visits = field(init=False)
    random: Random = field(init=False)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Set the stage."""
        self.reset()

    def reset(self) -> None:
        """Go back to how it all began; what is under way is dropped."""
        self.drop_tasks()
        self.accounts = Accounts()
        self.posts = Posts()
        self.quotas = QuotaBook()
        self.calls = CallLog()
        self.script = Script()
        self.visits = Visits()
        self.deliveries = deque(maxlen=KEPT)
        self.apply(self.started_with, reseed=True)
        self._add_people()

    def apply(self, settings: SandboxSettings, *, reseed: bool) -> None:
        """Behave like this from now on; reseeding starts randomness anew."""
        self.settings = settings
        if reseed:
            # Chance decides which call is struck, nothing that must stay secret.
            self.random = Random(settings.seed)

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        """Let work go on in the background until the reset or the end."""
        _ = self.begin(work)

    def begin(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Spawn work that may have to be cancelled alone."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def drop_tasks(self) -> None:
        """Cancel all that goes on in the background."""
        for task in self.tasks:
            task.cancel()
        self.tasks = set()

    def granted(self, access_token: str | None) -> tuple[str, ...]:
        """List the scopes of a living access token."""
        grant = self.accounts.bearer(access_token or "", now=self.now())
        return grant.scopes if grant else ()

    def new_grant(self, open_id: str, scopes: tuple[str, ...]) -> Grant:
        """Make a token pair that lives as long as the settings say."""
        now = self.now()
        return Grant(
            open_id=open_id,
            scopes=scopes,
            access_expires_at=now + self.settings.expires_in,
            refresh_expires_at=now + self.settings.refresh_expires_in,
        )

    def _add_people(self) -> None:
        first = Account(DEFAULT_OPEN_ID)
        second = Account(SECOND_OPEN_ID, "Second Sandbox User", SECOND_OPEN_ID)
        for account, suffix in ((first, ""), (second, "_2")):
            grant = self.new_grant(account.open_id, ALL_SCOPES)
            grant.access_token = f"act.sandbox{suffix}"
            grant.refresh_token = f"rft.sandbox{suffix}"
            self.accounts.put(account, grant, now=self.now())
